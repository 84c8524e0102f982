-- Renew the upstream session of a live session, by one gateway at a time.
-- Without a protocol version, the caller learns if it has to open a new upstream session, to wait, or which one to use;
-- with one, the new id is saved. The capabilities of a restored session's upstream are unknown (flag ?) until then; it
-- may keep no sessions, and the new id be ''.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  string, token of the gateway that opens a new upstream session (keys.renewal_lock)
-- ARGV     lost upstream session id, the calling gateway's token, TTL of the right in ms, new id or '', protocol
--          or '', flags or '' to keep them
-- returns  {0, initialize parameters, protocol} open one, {1} wait, {2, upstream session id} use this one,
--          {3} session not live
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
