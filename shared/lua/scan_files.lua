-- Return the next files of one kind in an endless scan that all callers share. Removes entries without record.
-- KEYS[1]  sorted set, files of the kind by their end (keys.upload_ends or keys.artifact_ends)
-- KEYS[2]  string, cursor of the scan (keys.scan_cursor)
-- ARGV     about this many, prefix of the keys of files
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
