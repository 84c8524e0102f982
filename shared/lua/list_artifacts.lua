-- List the artifacts of a scope that have not expired or that a call uses, without changing anything.
-- KEYS[1]  hash, the scope's files by id (keys.files)
-- KEYS[2]  sorted set, artifacts by their end (keys.artifact_ends)
-- KEYS[3]  sorted set, files in use by the expiry of the call's lease (keys.files_in_use)
-- ARGV     scope
-- returns  {record, ...} in no order
local now = now_ms()
local uses = ids_in_use(KEYS[3], now)
local found = {}
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  local ends = redis.call('ZSCORE', KEYS[2], ARGV[1] .. ':' .. id)
  if ends and (tonumber(ends) > now or uses[id]) then
    found[#found + 1] = redis.call('HGET', KEYS[1], id)
  end
end
return found
