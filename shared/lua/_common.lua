-- Functions that several scripts share; they precede the source of every script.

local FOREVER = 1e15        -- end of a file that lives as long as its session, in ms
local REMEMBER_MS = 600000  -- time for which a dropped file is remembered: longer than any job may run again

local function now_ms()  -- by Redis' clock
  local clock = redis.call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

local function ids_in_use(key, now)  -- set of the ids of files that calls hold; the key is keys.files_in_use
  local ids = {}
  for _, use in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
    ids[string.match(use, '^[^:]+')] = true
  end
  return ids
end

local function reserved_bytes(key, now, except)  -- sum of the reservations except one; the key is keys.reserved
  local bytes = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
    if member ~= except then bytes = bytes + tonumber(string.match(member, '(%d+)$')) end
  end
  return bytes
end

local function remember_dropped(key, id, now)  -- the key is keys.dropped
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - REMEMBER_MS)
  redis.call('ZADD', key, now, id)
  redis.call('PEXPIRE', key, REMEMBER_MS)
end

local function remove_files(scope, files, used, used_total, upload_ends, artifact_ends)  -- all files of a scope
  for _, id in ipairs(redis.call('HKEYS', files)) do
    redis.call('ZREM', upload_ends, scope .. ':' .. id)
    redis.call('ZREM', artifact_ends, scope .. ':' .. id)
  end
  local bytes = tonumber(redis.call('GET', used) or '0')
  if bytes ~= 0 then redis.call('DECRBY', used_total, bytes) end
  redis.call('DEL', files, used)
end

