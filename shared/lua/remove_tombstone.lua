-- Remove an expired session that was not revived in time, with the records of its files.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  hash, the scope's files by id (keys.files)
-- KEYS[3]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[4]  integer, bytes all scopes use (keys.used_total)
-- KEYS[5]  sorted set, due times by Redis' clock (keys.due)
-- KEYS[6]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[7]  sorted set, artifacts by their end (keys.artifact_ends)
-- ARGV     session id
-- returns  removed 0|1
local member = 't:' .. ARGV[1]
local ends = redis.call('ZSCORE', KEYS[5], member)
local now = now_ms()
if not ends or tonumber(ends) > now then return 0 end
redis.call('ZREM', KEYS[5], member)
if redis.call('HGET', KEYS[1], 'state') ~= 'expired' then return 0 end
remove_files(ARGV[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6], KEYS[7])
redis.call('DEL', KEYS[1])
return 1
