-- Remove a finished job from the queue and publish its result, or schedule its next run. Does nothing for a worker
-- whose claim has passed to another: the other run counts.
-- KEYS[1]  sorted set, the queue (keys.queue)
-- KEYS[2]  string, the job's envelope (keys.job)
-- KEYS[3]  string, the job's result (keys.job_result)
-- KEYS[4]  string, the worker that runs the job (keys.job_claim)
-- KEYS[5]  integer, number of starts of the job (keys.job_tries)
-- ARGV     worker id, job id, ms until it runs again or -1 when it has ended, result or '' for none,
--          ms to keep the result, channel of the caller (of the workers when it runs again) or ''
-- returns  1, or 0 when another worker has the job
local owner = redis.call('GET', KEYS[4])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[4])
if tonumber(ARGV[3]) >= 0 then
  local now = now_ms()
  redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[3]), ARGV[2])
  redis.call('PUBLISH', ARGV[6], '')
  return 1
end
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2], KEYS[5])
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5])
  redis.call('PUBLISH', ARGV[6], ARGV[4])
end
return 1
