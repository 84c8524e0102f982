-- Claim a one-time upload link whose session is alive, or say why not.
-- KEYS[1]  string, the link's state (keys.grant)
-- KEYS[2]  hash, the session that the link was made for (keys.session)
-- ARGV     server, time in ms that the claim is remembered (past the link's own end)
-- returns  {0} claimed, {1} session gone, {2} in use now, {3} used up
local session = redis.call('HMGET', KEYS[2], 'state', 'server')
if session[1] ~= 'live' or session[2] ~= ARGV[1] then return {1} end
local state = redis.call('GET', KEYS[1])
if state == 'spent' then return {3} end
if state then return {2} end
redis.call('SET', KEYS[1], 'claimed', 'PX', ARGV[2])
return {0}
