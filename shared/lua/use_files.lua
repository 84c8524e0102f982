-- Fetch files of a scope and move their end, all or none. One that is past its end counts as gone, unless
-- a call of its scope still runs.
-- KEYS[1]  hash, the scope's files by id (keys.files)
-- KEYS[2]  sorted set, what falls due when, by the server's clock (keys.due)
-- KEYS[3]  sorted set, the scope's calls in flight by the expiry of their lease (keys.leases)
-- ARGV     scope, time in ms that each file is kept from now on at least or 0 to touch nothing, file ids ...
-- returns  {0, record, ...} in the order given, or {position of the first id that is gone, from 1}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local in_use = redis.call('ZCOUNT', KEYS[3], '(' .. now, '+inf') > 0
local found = {0}
for n = 3, #ARGV do
  local record = redis.call('HGET', KEYS[1], ARGV[n])
  local ends = redis.call('ZSCORE', KEYS[2], 'f:' .. ARGV[1] .. ':' .. ARGV[n])
  if not record or (ends and tonumber(ends) <= now and not in_use) then return {n - 2} end
  found[#found + 1] = record
end
local ttl_ms = tonumber(ARGV[2])
if ttl_ms > 0 then
  for n = 3, #ARGV do
    redis.call('ZADD', KEYS[2], 'XX', 'GT', now + ttl_ms, 'f:' .. ARGV[1] .. ':' .. ARGV[n])
  end
end
return found
