-- Begin a resumable upload whose file is in staging, empty.
-- KEYS[1]  hash, the upload (keys.resumable)
-- ARGV     record, time to live in ms
-- returns  {}
redis.call('HSET', KEYS[1], 'record', ARGV[1], 'offset', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {}
