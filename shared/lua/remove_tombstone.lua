-- Forget an expired session that nobody came back to in time, and its files' records.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  hash, the scope's files by id (keys.files)
-- KEYS[3]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[4]  integer, bytes all scopes use (keys.used_total)
-- KEYS[5]  sorted set, what falls due when, by the server's clock (keys.due)
-- KEYS[6]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[7]  sorted set, artifacts by their end (keys.artifact_ends)
-- ARGV     session id
-- returns  removed 0|1
local member = 't:' .. ARGV[1]
local ends = redis.call('ZSCORE', KEYS[5], member)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if not ends or tonumber(ends) > now then return 0 end
redis.call('ZREM', KEYS[5], member)
if redis.call('HGET', KEYS[1], 'state') ~= 'expired' then return 0 end
for _, file in ipairs(redis.call('HKEYS', KEYS[2])) do
  redis.call('ZREM', KEYS[6], ARGV[1] .. ':' .. file)
  redis.call('ZREM', KEYS[7], ARGV[1] .. ':' .. file)
end
local used = tonumber(redis.call('GET', KEYS[3]) or '0')
if used ~= 0 then redis.call('DECRBY', KEYS[4], used) end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return 1
