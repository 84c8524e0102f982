-- Count that a list of the upstream's has changed, if the session is there.
-- KEYS[1]  hash, the session (keys.session)
-- returns  changes counted, 0 for none
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return 0 end
return redis.call('HINCRBY', KEYS[1], 'lists', 1)
