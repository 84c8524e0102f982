-- Every file of a scope that is not past its end, touching none.
-- KEYS[1]  hash, the scope's files by id (keys.files)
-- KEYS[2]  sorted set, what falls due when, by the server's clock (keys.due)
-- ARGV     scope
-- returns  {record, ...} in no order
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local fields = redis.call('HGETALL', KEYS[1])
local found = {}
for n = 1, #fields, 2 do
  local ends = redis.call('ZSCORE', KEYS[2], 'f:' .. ARGV[1] .. ':' .. fields[n])
  if not ends or tonumber(ends) > now then
    found[#found + 1] = fields[n + 1]
  end
end
return found
