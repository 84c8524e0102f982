-- Reserve bytes for an upload that declares its size, where the limits leave room, or do nothing.
-- Room is what is free and what could be evicted: neither files that calls use nor the reservations of others. Nothing
-- is evicted here; the commit does that.
-- KEYS[1]  sorted set, the scope's reservations by the expiry of their lease (keys.reserved)
-- KEYS[2]  sorted set, those of all scopes (keys.reserved_total)
-- KEYS[3]  integer, bytes all scopes use (keys.used_total)
-- KEYS[4]  hash, the scope's files by id (keys.files)
-- KEYS[5]  sorted set, files in use by the expiry of the call's lease (keys.files_in_use)
-- KEYS[6]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[7]  sorted set, artifacts by their end (keys.artifact_ends)
-- ARGV     reservation `<token>:<bytes>`, its bytes, lease time in ms; bytes that the scope may use, bytes that all
--          may (-1: no limit); prefixes of the keys of files and files_in_use
-- returns  {1} reserved, {2, limit, in use, budget} refused by limit 1 the scope's bytes, 2 all bytes
local MAX_CHECKED = 1000  -- files checked for room; where that is not enough, the commit decides
local now = now_ms()
local wanted, budget = tonumber(ARGV[2]), {tonumber(ARGV[4]), tonumber(ARGV[5])}
local files_of, uses_of = ARGV[6], ARGV[7]

local function size_of(files, id)
  local record = redis.call('HGET', files, id)
  return record and cmsgpack.unpack(record)['size_bytes'] or 0
end

if budget[1] >= 0 then
  local taken = reserved_bytes(KEYS[1], now)
  for id in pairs(ids_in_use(KEYS[5], now)) do taken = taken + size_of(KEYS[4], id) end
  if taken + wanted > budget[1] then return {2, 1, taken, budget[1]} end
end

if budget[2] >= 0 then
  local taken = tonumber(redis.call('GET', KEYS[3]) or '0') + reserved_bytes(KEYS[2], now)
  local busy, seen = {}, 0
  for set = 6, 7 do
    local from = 0
    while taken + wanted > budget[2] and seen < MAX_CHECKED do
      local members = redis.call('ZRANGE', KEYS[set], from, from + 99)
      for _, member in ipairs(members) do
        local owner, id = string.match(member, '^(.*):([^:]+)$')
        busy[owner] = busy[owner] or ids_in_use(uses_of .. owner, now)
        if not busy[owner][id] then taken = taken - size_of(files_of .. owner, id) end
      end
      seen, from = seen + #members, from + 100
      if #members < 100 then break end
    end
  end
  if taken + wanted > budget[2] and seen < MAX_CHECKED then return {2, 2, taken, budget[2]} end
end

for set = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[set], '-inf', now)
  redis.call('ZADD', KEYS[set], now + tonumber(ARGV[3]), ARGV[1])
  if redis.call('PTTL', KEYS[set]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[set], ARGV[3]) end
end
return {1}
