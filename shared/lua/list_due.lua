-- List what is due, the oldest first of each kind, without changing anything.
-- KEYS[1]  sorted set, due times by Redis' clock (keys.due)
-- KEYS[2]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[3]  sorted set, artifacts by their end (keys.artifact_ends)
-- ARGV     max members of each set
-- returns  {member with its kind before it, ...}
local now = now_ms()
local due = {}
for n, kind in ipairs({'', 'u:', 'a:'}) do
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[n], '-inf', now, 'LIMIT', 0, ARGV[1])) do
    due[#due + 1] = kind .. member
  end
end
return due
