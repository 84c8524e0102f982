-- Which of some ids of a scope stand for a file that is there or is about to be.
-- KEYS[1]  hash, the scope's files by id (keys.files)
-- KEYS[2]  sorted set, what falls due when, pending artifacts among it (keys.due)
-- ARGV     scope, ids ...
-- returns  {known 0|1, ...} in the order given
local known = {}
for n = 2, #ARGV do
  local there = redis.call('HEXISTS', KEYS[1], ARGV[n]) == 1
    or redis.call('ZSCORE', KEYS[2], 'p:' .. ARGV[1] .. ':' .. ARGV[n])
  known[#known + 1] = there and 1 or 0
end
return known
