-- Count the workers with a current heartbeat.
-- KEYS[1]  sorted set, workers by the time their heartbeat lapses (keys.workers)
-- ARGV     none
-- returns  number of workers
local now = now_ms()
return redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')
