-- Become the one writer of a resumable upload at an offset.
-- KEYS[1]  hash, the upload (keys.resumable)
-- ARGV     the writer's token, the offset it goes on from (-1: wherever the upload is), how long it may write in ms
-- returns  {0} gone, {1, offset} the upload is elsewhere, {2} somebody else writes, {3, record, offset, done 0|1} taken
local record, offset, writer, till, done =
  unpack(redis.call('HMGET', KEYS[1], 'record', 'offset', 'writer', 'until', 'done'))
if not record then return {0} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if done then return {3, record, offset, 1} end
if writer and tonumber(till) > now then return {2} end
if tonumber(ARGV[2]) >= 0 and ARGV[2] ~= offset then return {1, offset} end
redis.call('HSET', KEYS[1], 'writer', ARGV[1], 'until', string.format('%.0f', now + ARGV[3]))
return {3, record, offset, 0}
