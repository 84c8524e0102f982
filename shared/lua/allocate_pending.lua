-- Reserve an artifact's id in a live session, to be forgotten at its end unless a file is committed under it; or
-- prolong what is reserved.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  sorted set, what falls due when, by the server's clock (keys.due)
-- ARGV     scope, artifact id, grace time in ms, only what is reserved 0|1
-- returns  reserved 0|1
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return 0 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local member = 'p:' .. ARGV[1] .. ':' .. ARGV[2]
if ARGV[4] == '1' and not redis.call('ZSCORE', KEYS[2], member) then return 0 end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), member)
return 1
