-- Remove one reserved artifact id, with the flag only after its grace time.
-- KEYS[1]  sorted set, due times by Redis' clock (keys.due)
-- ARGV     scope, artifact id, only when due 0|1
-- returns  forgotten 0|1
local member = 'p:' .. ARGV[1] .. ':' .. ARGV[2]
if ARGV[3] == '1' then
  local now = now_ms()
  local ends = redis.call('ZSCORE', KEYS[1], member)
  if not ends or tonumber(ends) > now then return 0 end
end
return redis.call('ZREM', KEYS[1], member)
