-- End one session at once: removes records, leases and byte counts, and leaves a tombstone with the reason. Every
-- caller that knows the id of a restored session without principal may end it.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  sorted set, calls in flight (keys.leases)
-- KEYS[3]  hash, the scope's files by id (keys.files)
-- KEYS[4]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[5]  integer, bytes all scopes use (keys.used_total)
-- KEYS[6]  sorted set, live sessions (keys.sessions)
-- KEYS[7]  sorted set, due times (keys.due)
-- KEYS[8]  sorted set, open streams (keys.streams)
-- KEYS[9]  list, upstream sessions to end (keys.upstream_sessions_to_end)
-- KEYS[10] sorted set, uploads by their end (keys.upload_ends)
-- KEYS[11] sorted set, artifacts by their end (keys.artifact_ends)
-- KEYS[12] sorted set, files in use (keys.files_in_use)
-- ARGV     session id, server, principal or '' for the operator, state to leave (ended|invalidated),
--          reason, tombstone time in ms, queue the end of the upstream's session 0|1
-- returns  {0, upstream session id, protocol version} or {1} unknown, {2, reason} ended before, {3} another's
local id = ARGV[1]
local found = redis.call('HMGET', KEYS[1], 'state', 'server', 'principal', 'upstream', 'protocol', 'reason')
local state = found[1]
if not state or found[2] ~= ARGV[2] then return {1} end
if state ~= 'live' and state ~= 'expired' then return {2, found[6] or ''} end
if ARGV[3] ~= '' and found[3] ~= '' and found[3] ~= ARGV[3] then return {3} end
remove_files(id, KEYS[3], KEYS[4], KEYS[5], KEYS[10], KEYS[11])
redis.call('DEL', KEYS[2], KEYS[8], KEYS[12])
redis.call('ZREM', KEYS[6], id)
redis.call('ZREM', KEYS[7], 's:' .. id, 't:' .. id)
redis.call('HDEL', KEYS[1], 'upstream', 'init', 'flags', 'watched')
redis.call('HSET', KEYS[1], 'state', ARGV[4], 'reason', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if ARGV[7] == '1' and found[4] and found[4] ~= '' then
  redis.call('RPUSH', KEYS[9], cmsgpack.pack({found[2], found[4], found[5]}))
end
return {0, found[4] or '', found[5] or ''}
