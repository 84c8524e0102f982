-- Set the subscriptions of one gateway's clients in a scope.
-- KEYS[1]  hash, subscriptions of the gateways (keys.feed_subscriptions)
-- ARGV     the gateway, its subscriptions, the scope's channel (keys.events_channel), event to publish there,
--          time to live in ms
-- returns  1
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
