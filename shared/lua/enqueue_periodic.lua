-- Enqueue a periodic job once an interval, whichever worker asks first, unless its last run has not ended.
-- KEYS[1]  string, the current interval has begun (keys.periodic_interval)
-- KEYS[2]  string, the job's envelope (keys.job)
-- KEYS[3]  sorted set, the queue (keys.queue)
-- ARGV     job id, envelope, interval in ms, ms until it must have begun, channel of the workers
-- returns  {enqueued 0|1, ms until the next interval}
if not redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[3]) then
  return {0, redis.call('PTTL', KEYS[1])}
end
if redis.call('EXISTS', KEYS[2]) == 1 then return {0, tonumber(ARGV[3])} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('PSETEX', KEYS[2], ARGV[4], ARGV[2])
redis.call('ZADD', KEYS[3], now, ARGV[1])
redis.call('PUBLISH', ARGV[5], '')
return {1, tonumber(ARGV[3])}
