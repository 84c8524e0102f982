-- Create the scope of a modern client, which has no initialize. A scope that is live, or of another caller, stays
-- unchanged.
-- KEYS[1]  hash, the scope, as a session (keys.session)
-- KEYS[2]  sorted set, live sessions by creation time (keys.sessions)
-- ARGV     scope, server, principal, flags, initialize parameters, max live sessions or 0
-- returns  1 it exists, 0 limit of live sessions
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'live' or state == 'expired' or state == 'invalidated' then return 1 end
local most = tonumber(ARGV[6])
if most > 0 and redis.call('ZCARD', KEYS[2]) >= most then return 0 end
local now = now_ms()
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'live', 'server', ARGV[2], 'principal', ARGV[3], 'upstream', '',
  'protocol', '', 'flags', ARGV[4], 'init', ARGV[5], 'created', now, 'touched', now)
redis.call('ZADD', KEYS[2], now, ARGV[1])
return 1
