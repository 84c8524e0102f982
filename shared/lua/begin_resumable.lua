-- Begin a resumable upload whose file is in staging, empty, and note it with the link that let it in.
-- KEYS[1]  hash, the upload (keys.resumable)
-- KEYS[2]  hash, the link's state (keys.grant)
-- ARGV     record, time to live in ms, capability or '' where no link let it in, file id
-- returns  {}
redis.call('HSET', KEYS[1], 'record', ARGV[1], 'offset', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if ARGV[3] ~= '' and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('HSET', KEYS[2], 'u:' .. ARGV[3], ARGV[4])
end
return {}
