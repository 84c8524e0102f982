-- Read one session without changing anything.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  sorted set, calls in flight by the expiry of their lease (keys.leases)
-- KEYS[3]  sorted set, open streams by the expiry of their lease (keys.streams)
-- KEYS[4]  hash, the scope's files by id (keys.files)
-- KEYS[5]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[6]  sorted set, due times by Redis' clock (keys.due)
-- ARGV     session id
-- returns  {} unknown, or {state, server, principal, protocol, reason, created, last used, when it is due or '',
--          calls in flight, open streams, files, bytes}
local found = redis.call('HMGET', KEYS[1], 'state', 'server', 'principal', 'protocol', 'reason', 'created', 'touched')
if not found[1] then return {} end
for n = 1, 7 do found[n] = found[n] or '' end
local now = now_ms()
local due = redis.call('ZSCORE', KEYS[6], (found[1] == 'expired' and 't:' or 's:') .. ARGV[1])
found[8] = due or ''
local left = redis.call('PTTL', KEYS[1])
if left > 0 then found[8] = tostring(now + left) end
found[9] = redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf')
found[10] = redis.call('ZCOUNT', KEYS[3], '(' .. now, '+inf')
found[11] = redis.call('HLEN', KEYS[4])
found[12] = tonumber(redis.call('GET', KEYS[5]) or '0')
return found
