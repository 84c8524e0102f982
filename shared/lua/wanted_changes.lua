-- What is wanted of a scope's stream of changes: by gateways that live, and by the session itself.
-- KEYS[1]  hash, what gateways want of it (keys.feed_subscriptions)
-- KEYS[2]  hash, the session (keys.session)
-- ARGV     what the names of living gateways begin with (keys.gateway_alive), the asking gateway, time to live in ms
-- returns  {what the session watches or '', how often that changed, gateway, what it wants, …}
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
