-- Read files of a scope, all or none. With a lease id that call holds them until its lease ends, and their ends move.
-- An expired file counts as missing, unless a call uses it.
-- KEYS[1]  hash, the scope's files by id (keys.files)
-- KEYS[2]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[3]  sorted set, artifacts by their end (keys.artifact_ends)
-- KEYS[4]  sorted set, files in use by the expiry of the call's lease (keys.files_in_use)
-- ARGV     scope; times to live of an upload and an artifact in ms, 0 for the session's, -1 to change
--          nothing; lease id or '', lease time in ms; file ids ...
-- returns  {0, record, ...} in the order given, or {position of the first missing id, from 1}
local scope, lease = ARGV[1], ARGV[4]
local now = now_ms()
local uses
local function in_use(id)
  uses = uses or ids_in_use(KEYS[4], now)
  return uses[id]
end
local found, set_of = {0}, {}
for n = 6, #ARGV do
  local id, set = ARGV[n], 2
  local record = redis.call('HGET', KEYS[1], id)
  local ends = redis.call('ZSCORE', KEYS[2], scope .. ':' .. id)
  if not ends then
    ends, set = redis.call('ZSCORE', KEYS[3], scope .. ':' .. id), 3
  end
  if not record or (ends and tonumber(ends) <= now and not in_use(id)) then return {n - 5} end
  found[#found + 1] = record
  set_of[id] = set
end
for id, set in pairs(set_of) do
  local ttl_ms = tonumber(ARGV[set])
  if ttl_ms >= 0 then
    redis.call('ZADD', KEYS[set], 'XX', now + (ttl_ms > 0 and ttl_ms or FOREVER), scope .. ':' .. id)
  end
  if lease ~= '' then redis.call('ZADD', KEYS[4], now + tonumber(ARGV[5]), id .. ':' .. lease) end
end
if lease ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
  redis.call('PEXPIRE', KEYS[4], ARGV[5])
end
return found
