-- Subscribe a session to a resource, or unsubscribe it, and publish an event to the owner of its feed.
-- KEYS[1]  hash, the session (keys.session)
-- KEYS[2]  hash, the feed (keys.feed)
-- ARGV     URI, watch 0|1, max resources, prefix of the heartbeats of gateways (keys.gateway_alive),
--          the scope's channel (keys.events_channel), event to publish there
-- returns  {changes so far, a live gateway holds the feed 0|1} or {-1} session not live, {-2} too many
local found = redis.call('HMGET', KEYS[1], 'state', 'watched', 'watch_changes')
if found[1] ~= 'live' then return {-1} end
local before, after, is_there = {}, {}, false
if found[2] and found[2] ~= '' then before = cmsgpack.unpack(found[2]) end
for _, uri in ipairs(before) do
  if uri == ARGV[1] then is_there = true else after[#after + 1] = uri end
end
local changes = tonumber(found[3] or '0')
if is_there ~= (ARGV[2] == '1') then
  if ARGV[2] == '1' then
    if #after >= tonumber(ARGV[3]) then return {-2} end
    after[#after + 1] = ARGV[1]
  end
  changes = changes + 1
  local packed = ''
  if #after > 0 then packed = cmsgpack.pack(after) end
  redis.call('HSET', KEYS[1], 'watched', packed, 'watch_changes', changes)
end
redis.call('PUBLISH', ARGV[5], ARGV[6])
local holder = redis.call('HGET', KEYS[2], 'holder')
return {changes, (holder and redis.call('EXISTS', ARGV[4] .. holder) == 1) and 1 or 0}
