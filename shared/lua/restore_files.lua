-- Restore the records of files that were found in storage. An unknown session is created as an expired one without
-- principal, which the first caller that presents its id revives. Safe to repeat: charges once.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  hash, the scope's files by id (keys.files)
-- KEYS[3]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[4]  integer, bytes all scopes use (keys.used_total)
-- KEYS[5]  sorted set, due times by Redis' clock (keys.due)
-- KEYS[6]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[7]  sorted set, artifacts by their end (keys.artifact_ends)
-- ARGV     scope, server, upstream flags, initialize parameters and tombstone time in ms of an unknown
--          session, then for each file: u or a, id, time to live in ms or 0 for the session's, size in bytes, record
-- returns  {0} the session has ended or is of another server, {1, number of restored files}
local id, ends = ARGV[1], {u = KEYS[6], a = KEYS[7]}
local found = redis.call('HMGET', KEYS[1], 'state', 'server')
local now = now_ms()
if not found[1] then
  redis.call('HSET', KEYS[1], 'state', 'expired', 'server', ARGV[2], 'principal', '', 'upstream', '',
    'protocol', '', 'flags', ARGV[3], 'init', ARGV[4], 'created', now, 'touched', now)
  redis.call('ZADD', KEYS[5], now + tonumber(ARGV[5]), 't:' .. id)
elseif found[2] ~= ARGV[2] or (found[1] ~= 'live' and found[1] ~= 'expired') then
  return {0}
end
local restored = 0
for n = 6, #ARGV, 5 do
  local kind, file, ttl_ms, size = ARGV[n], ARGV[n + 1], tonumber(ARGV[n + 2]), ARGV[n + 3]
  if redis.call('HSETNX', KEYS[2], file, ARGV[n + 4]) == 1 then
    restored = restored + 1
    redis.call('INCRBY', KEYS[3], size)
    redis.call('INCRBY', KEYS[4], size)
    redis.call('ZADD', ends[kind], now + (ttl_ms > 0 and ttl_ms or FOREVER), id .. ':' .. file)
  end
end
return {1, restored}
