-- Renew a lease. An expired lease of a call stays expired; a stream's is taken again.
-- KEYS[1]  sorted set, leases by their expiry (keys.leases or keys.streams)
-- ARGV     lease id, lease time in ms, XX (only an existing one) or CH (in any case)
-- returns  renewed 0|1
local now = now_ms()
if ARGV[3] == 'XX' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return 1
