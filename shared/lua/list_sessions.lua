-- List some live sessions, oldest first, after one that was listed before, even if that is no longer live.
-- KEYS[1]  sorted set, live sessions by creation time (keys.sessions)
-- ARGV     creation time and id of the last listed session, or '' and '', max sessions
-- returns  {id, creation time, ...}
if ARGV[1] == '' then return redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[3]) - 1, 'WITHSCORES') end
local from = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[1])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[1])) do
  if id > ARGV[2] then break end
  from = from + 1
end
return redis.call('ZRANGE', KEYS[1], from, from + tonumber(ARGV[3]) - 1, 'WITHSCORES')
