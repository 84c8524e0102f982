-- Validate a session for one call, lease it and touch it, or return the reason why not. An expired session that may
-- be revived becomes live again with its files, without its upstream session. A restored session belongs to the first
-- caller that presents its id.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  sorted set, calls in flight by the expiry of their lease (keys.leases)
-- KEYS[3]  sorted set, due times by Redis' clock (keys.due)
-- KEYS[4]  sorted set, live sessions by creation time (keys.sessions)
-- ARGV     session id, server, principal, lease id or '' for none, lease time in ms, max calls in
--          flight or 0, idle time to live in ms or 0, max live sessions or 0,
--          may change the upstream's lists 0|1
-- returns  {0, upstream session id, protocol version, flags, revived 0|1, changes of lists} or {1} unknown,
--          {2, reason} ended, {3} of another caller, {4, calls in flight} at its limit,
--          {5, reason} invalidated, {6, live sessions} at the limit of live sessions
local found = redis.call('HMGET', KEYS[1], 'state', 'server', 'principal', 'upstream', 'protocol', 'flags', 'reason',
  'touched', 'lists')
local state = found[1]
if not state or found[2] ~= ARGV[2] then return {1} end
local has_no_principal = state == 'expired' and found[3] == ''
if found[3] ~= ARGV[3] and not has_no_principal then
  if state == 'ended' then return {1} end
  return {3}
end
if state == 'invalidated' then return {5, found[7] or ''} end
if state == 'ended' then return {2, found[7] or ''} end
local now = now_ms()
if ARGV[4] ~= '' then
  local limit = tonumber(ARGV[6])
  if limit > 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    local running = redis.call('ZCARD', KEYS[2])
    if running >= limit and not redis.call('ZSCORE', KEYS[2], ARGV[4]) then return {4, running} end
  end
end
local revived = 0
if state == 'expired' then
  local most, live = tonumber(ARGV[8]), redis.call('ZCARD', KEYS[4])
  if most > 0 and live >= most then return {6, live} end
  redis.call('HSET', KEYS[1], 'state', 'live', 'principal', ARGV[3])
  redis.call('ZADD', KEYS[4], redis.call('HGET', KEYS[1], 'created'), ARGV[1])
  redis.call('ZREM', KEYS[3], 't:' .. ARGV[1])
  revived = 1
end
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), ARGV[4])
end
redis.call('HSET', KEYS[1], 'touched', now)
local lists = found[9] or '0'
if ARGV[9] == '1' then lists = redis.call('HINCRBY', KEYS[1], 'lists', 1) end
local idle_ms = tonumber(ARGV[7])
if idle_ms > 0 then
  -- Not at each call, which would be expensive in a large set: expire_session checks the last use.
  local ends = redis.call('ZSCORE', KEYS[3], 's:' .. ARGV[1])
  if not ends or math.abs(now + idle_ms - ends) > idle_ms / 16 then
    redis.call('ZADD', KEYS[3], now + idle_ms, 's:' .. ARGV[1])
  end
elseif found[8] == '0' then  -- only a session that was never used is due
  redis.call('ZREM', KEYS[3], 's:' .. ARGV[1])
end
return {0, found[4], found[5], found[6], revived, tostring(lists)}
