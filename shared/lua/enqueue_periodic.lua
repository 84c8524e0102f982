-- Enqueue a periodic job once per interval, for whichever worker is first, unless its last run has not ended.
-- KEYS[1]  string, marks the current interval (keys.periodic_interval)
-- KEYS[2]  string, the job's envelope (keys.job)
-- KEYS[3]  sorted set, the queue (keys.queue)
-- ARGV     job id, envelope, interval in ms, ms until it must have started, channel of the workers
-- returns  {enqueued 0|1, ms until the next interval}
if not redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[3]) then
  return {0, redis.call('PTTL', KEYS[1])}
end
if redis.call('EXISTS', KEYS[2]) == 1 then return {0, tonumber(ARGV[3])} end
local now = now_ms()
redis.call('PSETEX', KEYS[2], ARGV[4], ARGV[2])
redis.call('ZADD', KEYS[3], now, ARGV[1])
redis.call('PUBLISH', ARGV[5], '')
return {1, tonumber(ARGV[3])}
