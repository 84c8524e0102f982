-- Keep the place of a resumable upload in its link's batch even if the upload lapses: its outcome may stay unknown.
-- KEYS[1]  hash, the link's state (keys.grant)
-- ARGV     capability of the resumable upload
-- returns  {}
if redis.call('HEXISTS', KEYS[1], 'u:' .. ARGV[1]) == 1 then redis.call('HSET', KEYS[1], 'u:' .. ARGV[1], '') end
return {}
