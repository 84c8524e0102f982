-- Take a job back that nobody has begun, for a caller that stops waiting.
-- KEYS[1]  sorted set, the queue (keys.queue)
-- KEYS[2]  string, the job's envelope (keys.job)
-- KEYS[3]  string, the job's result (keys.job_result)
-- KEYS[4]  string, the worker that runs the job (keys.job_claim)
-- KEYS[5]  integer, how often the job was begun (keys.job_tries)
-- ARGV     job id
-- returns  {0} withdrawn, {1} begun and left alone, {2, result} ended meanwhile
local result = redis.call('GET', KEYS[3])
if result then return {2, result} end
if redis.call('EXISTS', KEYS[4]) == 1 then return {1} end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[5])
return {0}
