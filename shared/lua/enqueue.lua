-- Enqueue one job and wake the workers, unless a job of its id is queued or runs, or its result is still kept.
-- KEYS[1]  string, the job's envelope (keys.job)
-- KEYS[2]  string, the job's result (keys.job_result)
-- KEYS[3]  sorted set, the queue (keys.queue)
-- ARGV     job id, envelope, ms until it is due, ms until it must have started, channel of the workers
-- returns  enqueued 0|1
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return 0 end
local now = now_ms()
redis.call('PSETEX', KEYS[1], ARGV[4], ARGV[2])
redis.call('ZADD', KEYS[3], now + tonumber(ARGV[3]), ARGV[1])
redis.call('PUBLISH', ARGV[5], '')
return 1
