-- Note how far a resumable upload has come on disk, by its writer alone; new bytes prolong its life and its hold on
-- what was set aside for it.
-- KEYS[1]  hash, the upload (keys.resumable)
-- KEYS[2]  sorted set, the reservations of all scopes (keys.reserved_total)
-- ARGV     the writer's token, offset, how much longer it may write in ms (0: it ends), time to live in ms,
--          1 when its file is visible, what the keys of a scope's reservations begin with
-- returns  {noted 0|1}
local writer, offset = unpack(redis.call('HMGET', KEYS[1], 'writer', 'offset'))
if writer ~= ARGV[1] then return {0} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
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
