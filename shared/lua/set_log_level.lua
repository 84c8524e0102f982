-- Remember the log level that a session wants, if the session is there.
-- KEYS[1]  hash, the session (keys.session)
-- ARGV     level
-- returns  1 done, 0 no such session
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return 0 end
redis.call('HSET', KEYS[1], 'log_level', ARGV[1])
return 1
