-- Return for each id of a scope if it is that of a file or of a reserved artifact.
-- KEYS[1]  hash, the scope's files by id (keys.files)
-- KEYS[2]  sorted set, due times, those of reserved artifact ids among them (keys.due)
-- ARGV     scope, ids ...
-- returns  {known 0|1, ...} in the order given
local known = {}
for n = 2, #ARGV do
  local there = redis.call('HEXISTS', KEYS[1], ARGV[n]) == 1
    or redis.call('ZSCORE', KEYS[2], 'p:' .. ARGV[1] .. ':' .. ARGV[n])
  known[#known + 1] = there and 1 or 0
end
return known
