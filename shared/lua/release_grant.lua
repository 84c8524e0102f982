-- Reopen a link whose transfer failed and left nothing; for a batch, return one upload, once.
-- KEYS[1]  hash, the link's state (keys.grant)
-- ARGV     channel (keys.upload_link_channel), the link's nonce, capability of a resumable upload or ''
-- returns  {released 0|1}
if ARGV[3] ~= '' and redis.call('HDEL', KEYS[1], 'u:' .. ARGV[3]) == 0 then return {0} end
local state, files, begun = unpack(redis.call('HMGET', KEYS[1], 'state', 'files', 'begun'))
if state == 'claimed' or (state == 'batch' and not files and begun == '1') then
  redis.call('DEL', KEYS[1])
elseif state == 'batch' then
  redis.call('HINCRBY', KEYS[1], 'begun', -1)
  redis.call('HINCRBY', KEYS[1], 'open', -1)
else
  return {0}
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return {1}
