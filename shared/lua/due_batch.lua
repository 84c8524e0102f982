-- What has fallen due, of each kind the oldest first, touching nothing.
-- KEYS[1]  sorted set, what falls due when, by the server's clock (keys.due)
-- KEYS[2]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[3]  sorted set, artifacts by their end (keys.artifact_ends)
-- ARGV     how many to list of each set at most
-- returns  {member with its kind before it, ...}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local due = {}
for n, kind in ipairs({'', 'u:', 'a:'}) do
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[n], '-inf', now, 'LIMIT', 0, ARGV[1])) do
    due[#due + 1] = kind .. member
  end
end
return due
