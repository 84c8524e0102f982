-- The next few files of one kind on a walk through all of them, which begins again at its end. Whoever asks
-- next gets others. Entries without record are forgotten on the way.
-- KEYS[1]  sorted set, files of the kind by their end (keys.upload_ends or keys.artifact_ends)
-- KEYS[2]  string, how far the walk has come (keys.scan_cursor)
-- ARGV     about how many, what the keys of files begin with
-- returns  {record, ...}
local step = redis.call('ZSCAN', KEYS[1], redis.call('GET', KEYS[2]) or '0', 'COUNT', ARGV[1])
redis.call('SET', KEYS[2], step[1])
local found = {}
for n = 1, #step[2], 2 do
  local member = step[2][n]
  local scope, id = string.match(member, '^(.*):([^:]+)$')
  local record = redis.call('HGET', ARGV[2] .. scope, id)
  if record then
    found[#found + 1] = record
  else
    redis.call('ZREM', KEYS[1], member)
  end
end
return found
