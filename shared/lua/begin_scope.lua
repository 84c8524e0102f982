-- Begin the scope of a caller of the stateless revision, who has no initialize to begin it from. One that
-- lives already, or is another caller's, stays as it is.
-- KEYS[1]  hash, the scope, as a session (keys.session)
-- KEYS[2]  sorted set, live sessions by creation time (keys.sessions)
-- ARGV     scope, server, principal, flags, initialize parameters, most live sessions or 0
-- returns  1 it is there, 0 no room for another session
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'live' or state == 'expired' or state == 'invalidated' then return 1 end
local most = tonumber(ARGV[6])
if most > 0 and redis.call('ZCARD', KEYS[2]) >= most then return 0 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'live', 'server', ARGV[2], 'principal', ARGV[3], 'upstream', '',
  'protocol', '', 'flags', ARGV[4], 'init', ARGV[5], 'created', now, 'touched', now)
redis.call('ZADD', KEYS[2], now, ARGV[1])
return 1
