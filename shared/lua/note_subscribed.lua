-- Note what the gateway that holds a scope's stream of changes has subscribed to upstream.
-- KEYS[1]  hash, who holds it (keys.feed)
-- ARGV     the gateway, what is subscribed to
-- returns  1 noted, 0 it is another's
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'subscribed', ARGV[2])
return 1
