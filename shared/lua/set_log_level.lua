-- Remember the log level that a session wants, or that its upstream session has, if the session is there.
-- KEYS[1]  hash, the session (keys.session)
-- ARGV     field, level
-- returns  1 done, 0 no such session
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
