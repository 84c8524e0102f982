-- Forget one pending artifact whose grace time is over.
-- KEYS[1]  sorted set, what falls due when, by the server's clock (keys.due)
-- ARGV     scope, artifact id, only when due 0|1
-- returns  forgotten 0|1
local member = 'p:' .. ARGV[1] .. ':' .. ARGV[2]
if ARGV[3] == '1' then
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local ends = redis.call('ZSCORE', KEYS[1], member)
  if not ends or tonumber(ends) > now then return 0 end
end
return redis.call('ZREM', KEYS[1], member)
