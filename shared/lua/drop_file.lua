-- Drop one file's record and uncharge its bytes: at once, or only when it is due and no call uses it; else its end
-- moves to the end of the last lease. The size is that of the record.
-- KEYS[1]  hash, the scope's files by id (keys.files)
-- KEYS[2]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[3]  integer, bytes all scopes use (keys.used_total)
-- KEYS[4]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[5]  sorted set, artifacts by their end (keys.artifact_ends)
-- KEYS[6]  sorted set, files in use by the expiry of the call's lease (keys.files_in_use)
-- KEYS[7]  sorted set, ids of dropped files (keys.dropped)
-- ARGV     scope, file id, only when due 0|1
-- returns  0 nothing dropped, 1 an upload, 2 an artifact
local id, member = ARGV[2], ARGV[1] .. ':' .. ARGV[2]
local now = now_ms()
if ARGV[3] == '1' then
  local set, ends = KEYS[4], redis.call('ZSCORE', KEYS[4], member)
  if not ends then
    set, ends = KEYS[5], redis.call('ZSCORE', KEYS[5], member)
  end
  if not ends or tonumber(ends) > now then return 0 end
  local uses = redis.call('ZRANGEBYSCORE', KEYS[6], '(' .. now, '+inf', 'WITHSCORES')
  for n = #uses - 1, 1, -2 do
    if string.match(uses[n], '^[^:]+') == id then
      redis.call('ZADD', set, 'XX', uses[n + 1], member)
      return 0
    end
  end
end
redis.call('ZREM', KEYS[4], member)
local is_artifact = redis.call('ZREM', KEYS[5], member)
local record = redis.call('HGET', KEYS[1], id)
if not record then return 0 end
local size = cmsgpack.unpack(record)['size_bytes']
redis.call('HDEL', KEYS[1], id)
remember_dropped(KEYS[7], id, now)
redis.call('DECRBY', KEYS[3], size)
if redis.call('DECRBY', KEYS[2], size) == 0 and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
end
return 1 + is_artifact
