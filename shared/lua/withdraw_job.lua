-- Withdraw a job that no worker has started, for a caller whose timeout has ended.
-- KEYS[1]  sorted set, the queue (keys.queue)
-- KEYS[2]  string, the job's envelope (keys.job)
-- KEYS[3]  string, the job's result (keys.job_result)
-- KEYS[4]  string, the worker that runs the job (keys.job_claim)
-- KEYS[5]  integer, number of starts of the job (keys.job_tries)
-- ARGV     job id
-- returns  {0} withdrawn, {1} started, not withdrawn, {2, result} finished meanwhile
local result = redis.call('GET', KEYS[3])
if result then return {2, result} end
if redis.call('EXISTS', KEYS[4]) == 1 then return {1} end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[5])
return {0}
