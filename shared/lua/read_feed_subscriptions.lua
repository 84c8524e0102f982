-- Read the subscriptions in a scope: those of live gateways, and the session's own.
-- KEYS[1]  hash, subscriptions of the gateways (keys.feed_subscriptions)
-- KEYS[2]  hash, the session (keys.session)
-- ARGV     prefix of the heartbeats of gateways (keys.gateway_alive), the calling gateway, time to live in ms
-- returns  {the session's own or '', number of its changes, gateway, its subscriptions, ...}
local watched = redis.call('HMGET', KEYS[2], 'watched', 'watch_changes')
local found = {watched[1] or '', tonumber(watched[2] or '0')}
local wants = redis.call('HGETALL', KEYS[1])
for i = 1, #wants, 2 do
  if wants[i] == ARGV[2] or redis.call('EXISTS', ARGV[1] .. wants[i]) == 1 then
    found[#found + 1] = wants[i]
    found[#found + 1] = wants[i + 1]
  else
    redis.call('HDEL', KEYS[1], wants[i])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return found
