-- Set bytes aside for an upload that declares its size, where the limits leave room, or do nothing.
-- Room is what is free and what would give way: neither files that calls use nor bytes that are set aside
-- for others. Nothing is evicted here; the commit does that.
-- KEYS[1]  sorted set, the scope's reservations by the expiry of their lease (keys.reserved)
-- KEYS[2]  sorted set, those of all scopes (keys.reserved_total)
-- KEYS[3]  integer, bytes all scopes use (keys.used_total)
-- KEYS[4]  hash, the scope's files by id (keys.files)
-- KEYS[5]  sorted set, files that calls use by the expiry of the call's lease (keys.files_in_use)
-- KEYS[6]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[7]  sorted set, artifacts by their end (keys.artifact_ends)
-- ARGV     reservation `<token>:<bytes>`, its bytes, lease time in ms; bytes that the scope may use, bytes that all
--          may (-1: any); what the keys of files and uses begin with
-- returns  {1} set aside, {2, limit, in use, budget} refused by limit 1 the scope's bytes, 2 all bytes
local MOST = 1000  -- files looked at for room; where so many are not enough, the commit decides
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local wanted, budget = tonumber(ARGV[2]), {tonumber(ARGV[4]), tonumber(ARGV[5])}
local files_of, uses_of = ARGV[6], ARGV[7]

local function reserved(key)
  local bytes = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
    bytes = bytes + tonumber(string.match(member, '(%d+)$'))
  end
  return bytes
end

local function used_by_calls(key)
  local ids = {}
  for _, use in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
    ids[string.match(use, '^[^:]+')] = true
  end
  return ids
end

local function size_of(files, id)
  local record = redis.call('HGET', files, id)
  return record and cmsgpack.unpack(record)['size_bytes'] or 0
end

if budget[1] >= 0 then
  local taken = reserved(KEYS[1])
  for id in pairs(used_by_calls(KEYS[5])) do taken = taken + size_of(KEYS[4], id) end
  if taken + wanted > budget[1] then return {2, 1, taken, budget[1]} end
end

if budget[2] >= 0 then
  local taken = tonumber(redis.call('GET', KEYS[3]) or '0') + reserved(KEYS[2])
  local busy, seen = {}, 0
  for set = 6, 7 do
    local from = 0
    while taken + wanted > budget[2] and seen < MOST do
      local members = redis.call('ZRANGE', KEYS[set], from, from + 99)
      for _, member in ipairs(members) do
        local owner, id = string.match(member, '^(.*):([^:]+)$')
        busy[owner] = busy[owner] or used_by_calls(uses_of .. owner)
        if not busy[owner][id] then taken = taken - size_of(files_of .. owner, id) end
      end
      seen, from = seen + #members, from + 100
      if #members < 100 then break end
    end
  end
  if taken + wanted > budget[2] and seen < MOST then return {2, 2, taken, budget[2]} end
end

for set = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[set], '-inf', now)
  redis.call('ZADD', KEYS[set], now + tonumber(ARGV[3]), ARGV[1])
  if redis.call('PTTL', KEYS[set]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[set], ARGV[3]) end
end
return {1}
