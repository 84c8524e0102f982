-- Expire one session after its idle time, or end it where sessions may not be revived; or do nothing.
-- Running calls and open streams keep it live. Its upstream session is queued to be ended, once.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  sorted set, calls in flight by the expiry of their lease (keys.leases)
-- KEYS[3]  sorted set, open streams by the expiry of their lease (keys.streams)
-- KEYS[4]  hash, the scope's files by id (keys.files)
-- KEYS[5]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[6]  integer, bytes all scopes use (keys.used_total)
-- KEYS[7]  sorted set, live sessions (keys.sessions)
-- KEYS[8]  sorted set, due times by Redis' clock (keys.due)
-- KEYS[9]  list, upstream sessions to end (keys.upstream_sessions_to_end)
-- KEYS[10] sorted set, uploads by their end (keys.upload_ends)
-- KEYS[11] sorted set, artifacts by their end (keys.artifact_ends)
-- ARGV     session id, idle time to live in ms, may be revived 0|1, tombstone time in ms
-- returns  {0 nothing done | 1 expired | 2 ended, its server}
local id = ARGV[1]
local ends = redis.call('ZSCORE', KEYS[8], 's:' .. id)
local now = now_ms()
if not ends or tonumber(ends) > now then return {0, ''} end
local found = redis.call('HMGET', KEYS[1], 'state', 'server', 'upstream', 'protocol', 'touched')
if found[1] ~= 'live' then
  redis.call('ZREM', KEYS[8], 's:' .. id)
  return {0, ''}
end
local idle_ms = tonumber(ARGV[2])
local used_last = tonumber(found[5] or '0')
if idle_ms > 0 and used_last + idle_ms > now then
  redis.call('ZADD', KEYS[8], used_last + idle_ms, 's:' .. id)
  return {0, ''}
end
local held = 0
for n = 2, 3 do
  local last = redis.call('ZRANGE', KEYS[n], -1, -1, 'WITHSCORES')
  if last[2] then held = math.max(held, tonumber(last[2])) end
end
if held > now then
  redis.call('ZADD', KEYS[8], held + idle_ms, 's:' .. id)
  return {0, ''}
end
if found[3] and found[3] ~= '' then
  redis.call('RPUSH', KEYS[9], cmsgpack.pack({found[2], found[3], found[4]}))
end
redis.call('ZREM', KEYS[7], id)
redis.call('ZREM', KEYS[8], 's:' .. id)
redis.call('DEL', KEYS[2], KEYS[3])
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'state', 'expired', 'upstream', '')
  redis.call('ZADD', KEYS[8], now + tonumber(ARGV[4]), 't:' .. id)
  return {1, found[2] or ''}
end
remove_files(id, KEYS[4], KEYS[5], KEYS[6], KEYS[10], KEYS[11])
redis.call('HDEL', KEYS[1], 'upstream', 'init', 'flags', 'watched')
redis.call('HSET', KEYS[1], 'state', 'ended', 'reason', 'it was idle for too long')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {2, found[2] or ''}
