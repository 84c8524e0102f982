-- Become the one writer of a resumable upload: at an offset, to write more for a session that is alive, or wherever
-- the upload is, to end it.
-- KEYS[1]  hash, the upload (keys.resumable)
-- ARGV     the writer's token, the offset it goes on from (-1: wherever the upload is), how long it may write in ms,
--          what the keys of sessions begin with
-- returns  {0} gone, {1, offset} the upload is elsewhere, {2} somebody else writes, {3, record, offset, done 0|1} taken,
--          {4} its session is gone
local record, offset, writer, till, done =
  unpack(redis.call('HMGET', KEYS[1], 'record', 'offset', 'writer', 'until', 'done'))
if not record then return {0} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if done then return {3, record, offset, 1} end
if writer and tonumber(till) > now then return {2} end
if tonumber(ARGV[2]) >= 0 then
  local scope = cmsgpack.unpack(record)['scope']
  if redis.call('HGET', ARGV[4] .. scope, 'state') ~= 'live' then return {4} end
  if ARGV[2] ~= offset then return {1, offset} end
end
redis.call('HSET', KEYS[1], 'writer', ARGV[1], 'until', string.format('%.0f', now + ARGV[3]))
return {3, record, offset, 0}
