-- Say that a worker lives and prolong its claims; a claim that has lapsed or passed to another is not touched.
-- KEYS[1]  sorted set, workers by the time their heartbeat lapses (keys.workers)
-- KEYS[2]  sorted set, the queue (keys.queue)
-- ARGV     worker id, time in ms until the heartbeat lapses, time in ms until the claims lapse, what every
--          claim's key begins with, ids of the jobs that it runs ...
-- returns  {jobs in the queue, claims that it has lost}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
local lost = 0
for n = 5, #ARGV do
  local claim = ARGV[4] .. ARGV[n]
  if redis.call('GET', claim) == ARGV[1] then
    redis.call('PEXPIRE', claim, ARGV[3])
    redis.call('ZADD', KEYS[2], 'XX', now + tonumber(ARGV[3]), ARGV[n])
  else
    lost = lost + 1
  end
end
return {redis.call('ZCARD', KEYS[2]), lost}
