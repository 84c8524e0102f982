-- Save a new resumable upload, whose file in staging is empty, also with its upload link.
-- KEYS[1]  hash, the upload (keys.resumable)
-- KEYS[2]  hash, the link's state (keys.grant)
-- ARGV     record, time to live in ms, capability or '' without a link, file id
-- returns  {}
redis.call('HSET', KEYS[1], 'record', ARGV[1], 'offset', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if ARGV[3] ~= '' and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('HSET', KEYS[2], 'u:' .. ARGV[3], ARGV[4])
end
return {}
