-- Commit finalised files of a live session, all or none, charge their bytes and schedule their end.
-- Above a limit, files that no call uses are evicted, the least recently used first; the order of ends is that order.
-- Nothing changes unless all the room is found, except that more than MAX_EVICTIONS files are evicted in several runs.
-- Safe to repeat: a committed file stays unchanged.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  hash, the scope's files by id (keys.files)
-- KEYS[3]  integer, bytes the scope uses (keys.used_bytes)
-- KEYS[4]  integer, bytes all scopes use (keys.used_total)
-- KEYS[5]  sorted set, due times by Redis' clock (keys.due)
-- KEYS[6]  sorted set, uploads by their end (keys.upload_ends)
-- KEYS[7]  sorted set, artifacts by their end (keys.artifact_ends)
-- KEYS[8]  sorted set, the scope's reservations by the expiry of their lease (keys.reserved)
-- KEYS[9]  sorted set, those of all scopes (keys.reserved_total)
-- ARGV     scope; bytes that the scope may use, bytes that all may, artifacts that the scope may have (-1: no limit);
--          u or a, the kind that is evicted first; prefixes of the keys of files, used_bytes, files_in_use and dropped;
--          the reservation of these files, which the commit ends, or '';
--          then for each file: u or a, id, time to live in ms or 0 for the session's, size in bytes, record
-- returns  {0} session not live, {1, {record as stored, ...}, {record evicted, ...}} done,
--          {2, limit, in use, budget} refused by limit 1 the scope's bytes, 2 all bytes, 3 artifacts,
--          {3, {record evicted, ...}} some files were evicted: run it again, {4} one of them was dropped before
if redis.call('HGET', KEYS[1], 'state') ~= 'live' then return {0} end
local MAX_EVICTIONS = 1000  -- evictions of one run
local now = now_ms()
local scope, kinds = ARGV[1], ARGV[5] == 'a' and {'a', 'u'} or {'u', 'a'}
local budget = {tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])}
local files_of, used_of, uses_of, dropped_of = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local reservation = ARGV[10]
local ends = {u = KEYS[6], a = KEYS[7]}

local new, added = {}, {0, 0, 0}
for n = 11, #ARGV, 5 do
  if redis.call('HEXISTS', KEYS[2], ARGV[n + 1]) == 0 then
    -- Committed and dropped before: its file is being unlinked.
    if redis.call('ZSCORE', dropped_of .. scope, ARGV[n + 1]) then return {4} end
    new[ARGV[n + 1]] = true
    added[1], added[2] = added[1] + ARGV[n + 3], added[2] + ARGV[n + 3]
    if ARGV[n] == 'a' then added[3] = added[3] + 1 end
  end
end
local used = {tonumber(redis.call('GET', KEYS[3]) or '0'), tonumber(redis.call('GET', KEYS[4]) or '0'), 0}
for limit = 1, 2 do
  if budget[limit] >= 0 and added[limit] > 0 then
    used[limit] = used[limit] + reserved_bytes(KEYS[7 + limit], now, reservation)
  end
end
local victims, chosen, stale, busy = {}, {}, {}, {}

local function over(limit)
  return budget[limit] >= 0 and added[limit] > 0 and used[limit] + added[limit] > budget[limit]
end

local function in_use(owner, id)
  busy[owner] = busy[owner] or ids_in_use(uses_of .. owner, now)
  return busy[owner][id]
end

local function choose(kind, owner, id)
  local member = owner .. ':' .. id
  if chosen[member] or stale[member] or in_use(owner, id) then return end
  local record = redis.call('HGET', files_of .. owner, id)
  if not record then
    stale[member] = kind
    return
  end
  local size = cmsgpack.unpack(record)['size_bytes']
  chosen[member] = true
  victims[#victims + 1] = {kind, owner, id, size, record}
  used[2] = used[2] - size
  if owner == scope then
    used[1] = used[1] - size
    if kind == 'a' then used[3] = used[3] - 1 end
  end
end

local function mine(kind)  -- {id, end} of the scope's files of one kind, the earliest end first
  local ids, found = redis.call('HKEYS', KEYS[2]), {}
  for from = 1, #ids, 500 do
    local members = {}
    for n = from, math.min(from + 499, #ids) do members[#members + 1] = scope .. ':' .. ids[n] end
    for n, score in ipairs(redis.call('ZMSCORE', ends[kind], unpack(members))) do
      if score then found[#found + 1] = {ids[from + n - 1], tonumber(score)} end
    end
  end
  table.sort(found, function(one, other) return one[2] < other[2] end)
  return found
end

local function evict_from_scope(limit, kind, found)
  for _, file in ipairs(found) do
    if not over(limit) or #victims >= MAX_EVICTIONS then return end
    choose(kind, scope, file[1])
  end
end

local function evict_from_all(kind)
  local from = 0
  while true do
    local members = redis.call('ZRANGE', ends[kind], from, from + 99)
    for _, member in ipairs(members) do
      if not over(2) or #victims >= MAX_EVICTIONS then return end
      choose(kind, string.match(member, '^(.*):([^:]+)$'))
    end
    if #members < 100 then return end
    from = from + 100
  end
end

for limit = 1, 2 do  -- above the whole budget nothing is evicted
  if budget[limit] >= 0 and added[limit] > budget[limit] then return {2, limit, used[limit], budget[limit]} end
end
if budget[3] >= 0 and added[3] > 0 then
  local artifacts = mine('a')
  used[3] = #artifacts
  evict_from_scope(3, 'a', artifacts)
end
for _, kind in ipairs(kinds) do
  if over(1) then evict_from_scope(1, kind, mine(kind)) end
end
for _, kind in ipairs(kinds) do
  if over(2) then evict_from_all(kind) end
end
local short = over(1) and 1 or over(2) and 2 or over(3) and 3
if short and #victims < MAX_EVICTIONS then return {2, short, used[short], budget[short]} end

for member, kind in pairs(stale) do redis.call('ZREM', ends[kind], member) end
local evicted = {}
for n, victim in ipairs(victims) do
  local kind, owner, id, size, record = unpack(victim)
  redis.call('ZREM', ends[kind], owner .. ':' .. id)
  redis.call('HDEL', files_of .. owner, id)
  remember_dropped(dropped_of .. owner, id, now)
  redis.call('DECRBY', KEYS[4], size)
  if redis.call('DECRBY', used_of .. owner, size) == 0 and redis.call('EXISTS', files_of .. owner) == 0 then
    redis.call('DEL', used_of .. owner)
  end
  evicted[n] = record
end
if short then return {3, evicted} end

if reservation ~= '' then
  redis.call('ZREM', KEYS[8], reservation)
  redis.call('ZREM', KEYS[9], reservation)
end
local stored = {}
for n = 11, #ARGV, 5 do
  local kind, id, ttl_ms, size = ARGV[n], ARGV[n + 1], tonumber(ARGV[n + 2]), ARGV[n + 3]
  if new[id] then
    redis.call('HSET', KEYS[2], id, ARGV[n + 4])
    redis.call('INCRBY', KEYS[3], size)
    redis.call('INCRBY', KEYS[4], size)
    redis.call('ZADD', ends[kind], now + (ttl_ms > 0 and ttl_ms or FOREVER), scope .. ':' .. id)
  end
  redis.call('ZREM', KEYS[5], 'p:' .. scope .. ':' .. id)
  stored[#stored + 1] = redis.call('HGET', KEYS[2], id)
end
return {1, stored, evicted}
