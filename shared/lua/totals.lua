-- Count sessions, files, jobs and workers, at a cost that does not grow with them.
-- KEYS[1]  sorted set, live sessions (keys.sessions)
-- KEYS[2]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[3]  sorted set, artifacts by their end (keys.artifact_ends)
-- KEYS[4]  integer, bytes all scopes use (keys.used_total)
-- KEYS[5]  sorted set, the queue (keys.queue)
-- KEYS[6]  sorted set, workers by the time their heartbeat lapses (keys.workers)
-- ARGV     none
-- returns  {sessions, uploads, artifacts, bytes, jobs, age of the oldest due job in ms, workers}
local now = now_ms()
local first = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
local late = first[2] and math.max(0, now - tonumber(first[2])) or 0
return {
  redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3]),
  tonumber(redis.call('GET', KEYS[4]) or '0'), redis.call('ZCARD', KEYS[5]), late,
  redis.call('ZCOUNT', KEYS[6], '(' .. now, '+inf'),
}
