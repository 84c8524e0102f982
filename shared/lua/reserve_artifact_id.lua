-- Reserve an artifact id in a live session until a file is committed with it or its grace time ends; or renew a
-- reserved id.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  sorted set, due times by Redis' clock (keys.due)
-- ARGV     scope, artifact id, grace time in ms, only renew 0|1
-- returns  reserved 0|1
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return 0 end
local now = now_ms()
local member = 'p:' .. ARGV[1] .. ':' .. ARGV[2]
if ARGV[4] == '1' and not redis.call('ZSCORE', KEYS[2], member) then return 0 end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), member)
return 1
