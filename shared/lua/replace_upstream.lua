-- Renew the upstream side of a live session, by exactly one gateway at a time.
-- Asked with the lost upstream session id, a gateway is told to open a new one, to wait, or which one to use;
-- with a protocol version as well it puts the new id in place. What the upstream of a restored session can do
-- is unknown (flag ?) until then; it may turn out to keep no sessions, and the new id to be ''.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  string, who opens a new upstream session now (keys.renewal_lock)
-- ARGV     lost upstream session id, the asking gateway's token, time in ms to open one, new id or '', protocol
--          or '' to ask, flags or '' to leave them
-- returns  {0, initialize parameters, protocol} open one, {1} wait, {2, upstream session id} use this,
--          {3} the session lives no more
local found = redis.call('HMGET', KEYS[1], 'state', 'upstream', 'init', 'protocol', 'flags')
if found[1] ~= 'live' then return {3} end
if found[2] ~= ARGV[1] then return {2, found[2]} end
if found[2] == '' and not string.find(found[5] or '', '[?u]') then return {2, ''} end
if ARGV[5] == '' then
  if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) or redis.call('GET', KEYS[2]) == ARGV[2] then
    return {0, found[3], found[4]}
  end
  return {1}
end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return {1} end
redis.call('HSET', KEYS[1], 'upstream', ARGV[4], 'protocol', ARGV[5])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'flags', ARGV[6]) end
redis.call('DEL', KEYS[2])
return {2, ARGV[4]}
