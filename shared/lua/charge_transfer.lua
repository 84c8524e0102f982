-- Charge transferred bytes to all subjects of a request.
-- KEYS     for each subject: hash, levels of its buckets (keys.limit_usage)
-- ARGV     bytes, and for each subject: bytes an hour or 0
-- returns  nothing
local now = now_ms()
local HOUR = 3600000
for n = 1, #KEYS do
  local most = tonumber(ARGV[1 + n])
  if most > 0 then
    local found = redis.call('HMGET', KEYS[n], 'bytes', 'bytes_at')
    local since = math.max(0, now - tonumber(found[2] or now))
    local level = math.max(0, tonumber(found[1] or 0) - since * most / HOUR) + tonumber(ARGV[1])
    redis.call('HSET', KEYS[n], 'bytes', tostring(level), 'bytes_at', now)
    local empty_ms = math.ceil(level * HOUR / most) + 1000
    if redis.call('PTTL', KEYS[n]) < empty_ms then redis.call('PEXPIRE', KEYS[n], empty_ms) end
  end
end
