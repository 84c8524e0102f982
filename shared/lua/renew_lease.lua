-- Prolong the lease of a call that still runs; a lease that is gone stays gone.
-- KEYS[1]  sorted set, calls in flight by the expiry of their lease (keys.leases)
-- ARGV     lease id, lease time in ms
-- returns  renewed 0|1
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('ZADD', KEYS[1], 'XX', 'CH', now + tonumber(ARGV[2]), ARGV[1])
