-- Every artifact of a scope that is not past its end or that a call uses, touching none.
-- KEYS[1]  hash, the scope's files by id (keys.files)
-- KEYS[2]  sorted set, artifacts by their end (keys.artifact_ends)
-- KEYS[3]  sorted set, files that calls use by the expiry of the call's lease (keys.files_in_use)
-- ARGV     scope
-- returns  {record, ...} in no order
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local uses = {}
for _, use in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. now, '+inf')) do
  uses[string.match(use, '^[^:]+')] = true
end
local found = {}
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  local ends = redis.call('ZSCORE', KEYS[2], ARGV[1] .. ':' .. id)
  if ends and (tonumber(ends) > now or uses[id]) then
    found[#found + 1] = redis.call('HGET', KEYS[1], id)
  end
end
return found
