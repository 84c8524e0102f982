-- Save the files of a claimed link and wake their waiters. An unclaimed link stays unchanged.
-- KEYS[1]  hash, the link's state (keys.grant)
-- ARGV     channel (keys.upload_link_channel), the link's nonce, ids of the files
-- returns  {saved 0|1}
local state, files = unpack(redis.call('HMGET', KEYS[1], 'state', 'files'))
if state ~= 'claimed' and state ~= 'batch' then return {0} end
local ids, new = files and {files} or {}, 0
for n = 3, #ARGV do
  if not (files and string.find(files, ARGV[n], 1, true)) then
    ids[#ids + 1], new = ARGV[n], new + 1
  end
end
redis.call('HSET', KEYS[1], 'files', table.concat(ids, ','))
if state == 'claimed' then
  redis.call('HSET', KEYS[1], 'state', 'spent')
elseif new > 0 then          -- Redis 7.0 takes the -0 that 0 would become for no integer
  redis.call('HINCRBY', KEYS[1], 'open', -new)
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return {1}
