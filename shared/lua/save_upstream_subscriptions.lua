-- Save what the gateway that holds a scope's feed has subscribed to upstream.
-- KEYS[1]  hash, the feed (keys.feed)
-- ARGV     the gateway, its subscriptions
-- returns  1 saved, 0 another gateway holds the feed
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'subscribed', ARGV[2])
return 1
