-- What has fallen due, oldest first, touching nothing.
-- KEYS[1]  sorted set, what falls due when, by the server's clock (keys.due)
-- ARGV     how many to step over, how many to list at most
-- returns  {member, ...}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', ARGV[1], ARGV[2])
