-- Prolong a lease. A call's lease that is gone stays gone; a stream's is taken again.
-- KEYS[1]  sorted set, leases by their expiry (keys.leases or keys.streams)
-- ARGV     lease id, lease time in ms, XX (only if it is there) or CH (in any case)
-- returns  whether it holds now 0|1
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ARGV[3] == 'XX' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return 1
