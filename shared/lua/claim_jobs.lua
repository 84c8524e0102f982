-- Claim due jobs for one worker. A claimed job stays in the queue, due again when the claim lapses, so that
-- a job whose worker died is claimed by another and nobody reads jobs that run. Builds the claims' names.
-- KEYS[1]  sorted set, the queue (keys.queue)
-- ARGV     worker id, most jobs, time in ms until the claim lapses, what every claim's key begins with
-- returns  {ms until the next job falls due or -1, job id, ms it was due, job id, ms it was due, ...}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local claimed = {-1}
for n = 1, #due, 2 do
  redis.call('SET', ARGV[4] .. due[n], ARGV[1], 'PX', ARGV[3])
  redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[3]), due[n])
  claimed[#claimed + 1] = due[n]
  claimed[#claimed + 1] = now - tonumber(due[n + 1])
end
local next_due = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if next_due[2] then
  claimed[1] = math.max(0, tonumber(next_due[2]) - now)
end
return claimed
