-- Save the log level of a live session, or that of its upstream session.
-- KEYS[1]  hash, the session (keys.session)
-- ARGV     field, level
-- returns  1 done, 0 no such session
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
