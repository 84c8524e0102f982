-- Count the workers whose heartbeat has not lapsed.
-- KEYS[1]  sorted set, workers by the time their heartbeat lapses (keys.workers)
-- ARGV     none
-- returns  how many live
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')
