-- Become the only writer of a resumable upload: at an offset, to append for a live session, or at any offset, to
-- terminate it.
-- KEYS[1]  hash, the upload (keys.resumable)
-- ARGV     the writer's token, its offset (-1: any), lease time in ms,
--          prefix of the keys of sessions
-- returns  {0} unknown, {1, offset} other offset, {2} another writer, {3, record, offset, done 0|1} acquired,
--          {4} its session is not live
local record, offset, writer, till, done =
  unpack(redis.call('HMGET', KEYS[1], 'record', 'offset', 'writer', 'until', 'done'))
if not record then return {0} end
local now = now_ms()
if done then return {3, record, offset, 1} end
if writer and tonumber(till) > now then return {2} end
if tonumber(ARGV[2]) >= 0 then
  local scope = cmsgpack.unpack(record)['scope']
  if redis.call('HGET', ARGV[4] .. scope, 'state') ~= 'live' then return {4} end
  if ARGV[2] ~= offset then return {1, offset} end
end
redis.call('HSET', KEYS[1], 'writer', ARGV[1], 'until', string.format('%.0f', now + ARGV[3]))
return {3, record, offset, 0}
