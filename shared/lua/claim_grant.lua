-- Claim a one-time upload link whose session is live, or return the reason why not.
-- KEYS[1]  hash, the link's state (keys.grant)
-- KEYS[2]  hash, the session that the link was made for (keys.session)
-- ARGV     server, TTL of the claim in ms (past the link's own end), scope, max uploads of a
--          batch (0: the link is for one request)
-- returns  {0} claimed, {1} session not live, {2} in use, {3} used
local session = redis.call('HMGET', KEYS[2], 'state', 'server')
if session[1] ~= 'live' or session[2] ~= ARGV[1] then return {1} end
local state, begun = unpack(redis.call('HMGET', KEYS[1], 'state', 'begun'))
local most = tonumber(ARGV[4])
if state == 'batch' and most > 0 then
  if tonumber(begun) >= most then return {3} end
elseif state == 'spent' then return {3}
elseif state then return {2} end
if most == 0 then
  redis.call('HSET', KEYS[1], 'state', 'claimed', 'scope', ARGV[3])
else
  redis.call('HSET', KEYS[1], 'state', 'batch', 'scope', ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'begun', 1)
  redis.call('HINCRBY', KEYS[1], 'open', 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {0}
