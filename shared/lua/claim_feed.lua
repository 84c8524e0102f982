-- Take the upstream's stream of changes for a scope, or keep it; unless another gateway has it, and lives.
-- KEYS[1]  hash, who holds it (keys.feed)
-- KEYS[2]  hash, what gateways want of it (keys.feed_subscriptions), kept as long
-- ARGV     the asking gateway, what the names of living gateways begin with (keys.gateway_alive), time to live in ms
-- returns  {taken 0|1, who holds it or held it before or '', what is subscribed to upstream or ''}
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] and redis.call('EXISTS', ARGV[2] .. holder) == 1 then return {0, holder, ''} end
redis.call('HSET', KEYS[1], 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, holder or '', redis.call('HGET', KEYS[1], 'subscribed') or ''}
