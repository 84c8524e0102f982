-- Renew a worker's heartbeat and its claims on jobs. A claim that has lapsed or passed to another worker stays so.
-- KEYS[1]  sorted set, workers by the time their heartbeat lapses (keys.workers)
-- KEYS[2]  sorted set, the queue (keys.queue)
-- ARGV     worker id, TTL of the heartbeat in ms, TTL of the claims in ms, prefix of the claims'
--          keys, ids of the jobs that it runs ...
-- returns  {jobs in the queue, lost claims}
local now = now_ms()
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
