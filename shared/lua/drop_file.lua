-- Take one file's record away and give its bytes back: at once, or only when it is due and no call of its
-- scope runs (then its end moves to the end of the last lease). The size is the one in the record.
-- KEYS[1]  hash, the scope's files by id (keys.files)
-- KEYS[2]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[3]  integer, bytes all scopes use (keys.used_total)
-- KEYS[4]  sorted set, what falls due when, by the server's clock (keys.due)
-- KEYS[5]  sorted set, the scope's calls in flight by the expiry of their lease (keys.leases)
-- ARGV     scope, file id, only when due 0|1
-- returns  the record that was taken away, or false
local member = 'f:' .. ARGV[1] .. ':' .. ARGV[2]
if ARGV[3] == '1' then
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local ends = redis.call('ZSCORE', KEYS[4], member)
  if not ends or tonumber(ends) > now then return false end
  local last = redis.call('ZRANGE', KEYS[5], -1, -1, 'WITHSCORES')
  if last[2] and tonumber(last[2]) > now then
    redis.call('ZADD', KEYS[4], 'XX', last[2], member)
    return false
  end
end
redis.call('ZREM', KEYS[4], member)
local record = redis.call('HGET', KEYS[1], ARGV[2])
if not record then return false end
local size = cmsgpack.unpack(record)['size_bytes']
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('DECRBY', KEYS[3], size)
if redis.call('DECRBY', KEYS[2], size) == 0 and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
end
return record
