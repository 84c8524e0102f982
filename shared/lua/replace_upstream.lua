-- Renew the upstream side of a live session, by exactly one gateway at a time.
-- Asked with the lost upstream session id, a gateway is told to open a new one, to wait, or which one to use;
-- with a new id as well it puts that in place.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  string, who opens a new upstream session now (keys.renewing)
-- ARGV     lost upstream session id, the asking gateway's token, time in ms to open one, new id or '', protocol
-- returns  {0, initialize parameters, protocol} open one, {1} wait, {2, upstream session id} use this,
--          {3} the session lives no more
local found = redis.call('HMGET', KEYS[1], 'state', 'upstream', 'init', 'protocol')
if found[1] ~= 'live' then return {3} end
if found[2] ~= ARGV[1] then return {2, found[2]} end
if ARGV[4] == '' then
  if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) or redis.call('GET', KEYS[2]) == ARGV[2] then
    return {0, found[3], found[4]}
  end
  return {1}
end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return {1} end
redis.call('HSET', KEYS[1], 'upstream', ARGV[4], 'protocol', ARGV[5])
redis.call('DEL', KEYS[2])
return {2, ARGV[4]}
