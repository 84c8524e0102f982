-- Let go of what a gateway wants of a scope's stream of changes, and of the upstream's stream if it has that; say so to
-- those who still listen there. What is subscribed to upstream stays noted for them.
-- KEYS[1]  hash, who holds it (keys.feed)
-- KEYS[2]  hash, what gateways want of it (keys.feed_subscriptions)
-- ARGV     the gateway, the scope's channel (keys.events_channel), what to say there
-- returns  1 let go, 0 the stream was another's
redis.call('HDEL', KEYS[2], ARGV[1])
local is_ours = redis.call('HGET', KEYS[1], 'holder') == ARGV[1]
if is_ours and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('HSET', KEYS[1], 'holder', '-')  -- who takes it next knows that there was one
elseif is_ours then
  redis.call('DEL', KEYS[1])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return is_ours and 1 or 0
