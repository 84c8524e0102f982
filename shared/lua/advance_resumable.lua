-- Save the offset of a resumable upload, by its writer only. New bytes renew the upload and its reservation.
-- KEYS[1]  hash, the upload (keys.resumable)
-- KEYS[2]  sorted set, the reservations of all scopes (keys.reserved_total)
-- ARGV     the writer's token, offset, lease time in ms (0: end of the lease), time to live in ms,
--          1 when its file is visible, prefix of the keys of a scope's reservations
-- returns  {saved 0|1}
local writer, offset = unpack(redis.call('HMGET', KEYS[1], 'writer', 'offset'))
if writer ~= ARGV[1] then return {0} end
local now = now_ms()
if tonumber(ARGV[2]) > tonumber(offset) then
  redis.call('HSET', KEYS[1], 'offset', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  local upload = cmsgpack.unpack(redis.call('HGET', KEYS[1], 'record'))
  for _, set in ipairs({KEYS[2], ARGV[6] .. upload['scope']}) do
    if upload['reservation'] and redis.call('ZSCORE', set, upload['reservation']) then
      redis.call('ZADD', set, now + tonumber(ARGV[4]), upload['reservation'])
      if redis.call('PTTL', set) < tonumber(ARGV[4]) then redis.call('PEXPIRE', set, ARGV[4]) end
    end
  end
end
if ARGV[5] == '1' then redis.call('HSET', KEYS[1], 'done', '1') end
if tonumber(ARGV[3]) > 0 then
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ARGV[3]))
else
  redis.call('HDEL', KEYS[1], 'writer', 'until')
end
return {1}
