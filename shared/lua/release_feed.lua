-- Remove a gateway's subscriptions in a scope, and release the feed if it holds that; publish an event to the other
-- gateways. The upstream subscriptions stay saved for the next owner.
-- KEYS[1]  hash, the feed (keys.feed)
-- KEYS[2]  hash, subscriptions of the gateways (keys.feed_subscriptions)
-- ARGV     the gateway, the scope's channel (keys.events_channel), event to publish there
-- returns  1 released, 0 another gateway holds the feed
redis.call('HDEL', KEYS[2], ARGV[1])
local is_ours = redis.call('HGET', KEYS[1], 'holder') == ARGV[1]
if is_ours and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('HSET', KEYS[1], 'holder', '-')  -- tells the next owner that there was one
elseif is_ours then
  redis.call('DEL', KEYS[1])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return is_ours and 1 or 0
