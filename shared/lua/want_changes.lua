-- Say what the listeners of one gateway want of a scope's stream of changes.
-- KEYS[1]  hash, what gateways want of it (keys.feed_subscriptions)
-- ARGV     the gateway, what it wants, the scope's channel (keys.events_channel), what to say there, time to live in ms
-- returns  1
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
