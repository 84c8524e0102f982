-- Admit one request for all its subjects and take its slots, or do nothing and return the time to wait.
-- KEYS     for each subject: hash, levels of its buckets (keys.limit_usage), and sorted set, its requests of
--          this kind by the expiry of their lease (keys.request_slots)
-- ARGV     id of the slot or '' for none, lease time in ms, and for each subject: requests a second or 0, burst,
--          max slots or 0, bytes an hour or 0
-- returns  {0} admitted, or {full limit 1 requests|2 slots|3 bytes, wait in ms, number of the subject from 1}
local now = now_ms()
local HOUR = 3600000
local who = #KEYS / 2
local levels = {}
for n = 1, who do
  local at = 2 + (n - 1) * 4
  local rate, burst = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local most, bytes = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local found = redis.call('HMGET', KEYS[2 * n - 1], 'level', 'at', 'bytes', 'bytes_at')
  if rate > 0 then
    local since = math.max(0, now - tonumber(found[2] or now))
    local level = math.max(0, tonumber(found[1] or 0) - since * rate / 1000) + 1
    if level > burst then return {1, math.ceil((level - burst) * 1000 / rate), n} end
    levels[n] = level
  end
  if bytes > 0 then
    local since = math.max(0, now - tonumber(found[4] or now))
    local level = tonumber(found[3] or 0) - since * bytes / HOUR
    if level >= bytes then return {3, math.ceil((level - bytes) * HOUR / bytes) + 1000, n} end
  end
  if most > 0 and ARGV[1] ~= '' then
    redis.call('ZREMRANGEBYSCORE', KEYS[2 * n], '-inf', now)
    if redis.call('ZCARD', KEYS[2 * n]) >= most then return {2, 1000, n} end
  end
end
for n = 1, who do
  local at = 2 + (n - 1) * 4
  if levels[n] then
    redis.call('HSET', KEYS[2 * n - 1], 'level', tostring(levels[n]), 'at', now)
    local empty_ms = math.ceil(levels[n] * 1000 / tonumber(ARGV[at + 1])) + 1000
    if redis.call('PTTL', KEYS[2 * n - 1]) < empty_ms then redis.call('PEXPIRE', KEYS[2 * n - 1], empty_ms) end
  end
  if tonumber(ARGV[at + 3]) > 0 and ARGV[1] ~= '' then
    redis.call('ZADD', KEYS[2 * n], now + tonumber(ARGV[2]), ARGV[1])
    redis.call('PEXPIRE', KEYS[2 * n], ARGV[2])
  end
end
return {0}
