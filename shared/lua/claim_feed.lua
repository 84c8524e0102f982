-- Claim the feed of a scope, or renew the claim, unless another live gateway holds it.
-- KEYS[1]  hash, the feed (keys.feed)
-- KEYS[2]  hash, subscriptions of the gateways (keys.feed_subscriptions), kept as long
-- ARGV     the calling gateway, prefix of the heartbeats of gateways (keys.gateway_alive), time to live in ms
-- returns  {claimed 0|1, current or previous owner or '', upstream subscriptions or ''}
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] and redis.call('EXISTS', ARGV[2] .. holder) == 1 then return {0, holder, ''} end
redis.call('HSET', KEYS[1], 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, holder or '', redis.call('HGET', KEYS[1], 'subscribed') or ''}
