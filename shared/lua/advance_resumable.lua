-- Note how far a resumable upload has come on disk, by its writer alone; new bytes prolong its life.
-- KEYS[1]  hash, the upload (keys.resumable)
-- ARGV     the writer's token, offset, how much longer it may write in ms (0: it ends), time to live in ms,
--          1 when its file is visible
-- returns  {noted 0|1}
local writer, offset = unpack(redis.call('HMGET', KEYS[1], 'writer', 'offset'))
if writer ~= ARGV[1] then return {0} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if tonumber(ARGV[2]) > tonumber(offset) then
  redis.call('HSET', KEYS[1], 'offset', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
if ARGV[5] == '1' then redis.call('HSET', KEYS[1], 'done', '1') end
if tonumber(ARGV[3]) > 0 then
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ARGV[3]))
else
  redis.call('HDEL', KEYS[1], 'writer', 'until')
end
return {1}
