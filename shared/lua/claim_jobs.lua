-- Claim due jobs for one worker. A claimed job stays in the queue, due when the claim lapses, so that another worker
-- claims the jobs of a worker that died. Builds the names of the claims.
-- KEYS[1]  sorted set, the queue (keys.queue)
-- ARGV     worker id, max jobs, time in ms until the claim lapses, prefix of the claims' keys
-- returns  {ms until the next job falls due or -1, job id, ms it was due, job id, ms it was due, ...}
local now = now_ms()
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
