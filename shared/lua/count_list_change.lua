-- Count a change of the upstream's lists in a live session.
-- KEYS[1]  hash, the session (keys.session)
-- returns  changes counted, 0 for none
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return 0 end
return redis.call('HINCRBY', KEYS[1], 'lists', 1)
