-- Create the scope of a caller without session id from the session that its latest initialize created.
-- An unused session becomes the scope, with its upstream session; from a used one only the initialize parameters are
-- copied, and the upstream session is opened when a call needs it.
-- KEYS[1]  hash, the scope, as a session (keys.session)
-- KEYS[2]  string, the caller's latest session (keys.latest_session)
-- KEYS[3]  sorted set, live sessions by creation time (keys.sessions)
-- KEYS[4]  sorted set, due times by Redis' clock (keys.due)
-- ARGV     scope, server, principal, prefix of the keys of sessions, max live sessions or 0
-- returns  1 created, 0 no session to create it from, 2 limit of live sessions
local from = redis.call('GET', KEYS[2])
if not from then return 0 end
local key = ARGV[4] .. from
local found = redis.call('HMGET', key, 'state', 'server', 'principal', 'upstream', 'protocol', 'flags', 'init',
  'touched')
if found[1] ~= 'live' or found[2] ~= ARGV[2] or found[3] ~= ARGV[3] then return 0 end
if redis.call('HGET', KEYS[1], 'state') == 'live' then return 1 end
local unused = found[8] == '0'
local most = tonumber(ARGV[5])
if not unused and most > 0 and redis.call('ZCARD', KEYS[3]) >= most then return 2 end
local now = now_ms()
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'live', 'server', ARGV[2], 'principal', ARGV[3],
  'upstream', unused and found[4] or '', 'protocol', found[5], 'flags', found[6], 'init', found[7],
  'created', now, 'touched', now)
redis.call('ZADD', KEYS[3], now, ARGV[1])
if unused then
  redis.call('DEL', key)
  redis.call('ZREM', KEYS[3], from)
  redis.call('ZREM', KEYS[4], 's:' .. from)
end
return 1
