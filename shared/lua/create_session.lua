-- Create one live session, unless the limit of live sessions is reached or the id exists.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  sorted set, live sessions by creation time (keys.sessions)
-- KEYS[3]  sorted set, due times by Redis' clock (keys.due)
-- KEYS[4]  string, the caller's latest session (keys.latest_session)
-- ARGV     session id, server, principal, upstream session id, protocol version, upstream flags,
--          initialize parameters, max live sessions or 0, TTL of an unused session in ms
-- returns  {created 0|1, live sessions after the call}
local id = ARGV[1]
local limit, idle_ms = tonumber(ARGV[8]), tonumber(ARGV[9])
local live = redis.call('ZCARD', KEYS[2])
if (limit > 0 and live >= limit) or redis.call('EXISTS', KEYS[1]) == 1 then
  return {0, live}
end
local now = now_ms()
redis.call('HSET', KEYS[1], 'state', 'live', 'server', ARGV[2], 'principal', ARGV[3], 'upstream', ARGV[4],
  'protocol', ARGV[5], 'flags', ARGV[6], 'init', ARGV[7], 'created', now, 'touched', 0)  -- 0: never used
redis.call('ZADD', KEYS[2], now, id)
redis.call('ZADD', KEYS[3], now + idle_ms, 's:' .. id)
redis.call('SET', KEYS[4], id, 'PX', 3600000)
return {1, live + 1}
