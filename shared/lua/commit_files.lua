-- Publish finalised files of a live session, all or none, charge their bytes and schedule their end.
-- Twice charges once: a file that is there already stays as it is.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  hash, the scope's files by id (keys.files)
-- KEYS[3]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[4]  integer, bytes all scopes use (keys.used_total)
-- KEYS[5]  sorted set, what falls due when, by the server's clock (keys.due)
-- ARGV     scope, time to live in ms or 0 for the session's, then for each file: id, size in bytes, record
-- returns  {0} session gone, or {1, record as stored, ...} in the order given
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return {0} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ttl_ms = tonumber(ARGV[2])
local stored = {1}
for n = 3, #ARGV, 3 do
  local id, size = ARGV[n], ARGV[n + 1]
  if redis.call('HSETNX', KEYS[2], id, ARGV[n + 2]) == 1 then
    redis.call('INCRBY', KEYS[3], size)
    redis.call('INCRBY', KEYS[4], size)
    if ttl_ms > 0 then
      redis.call('ZADD', KEYS[5], now + ttl_ms, 'f:' .. ARGV[1] .. ':' .. id)
    end
  end
  redis.call('ZREM', KEYS[5], 'p:' .. ARGV[1] .. ':' .. id)
  stored[#stored + 1] = redis.call('HGET', KEYS[2], id)
end
return stored
