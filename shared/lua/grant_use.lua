-- Read the state of an upload link. Resumable uploads of its batch that lapsed are released first, except those whose
-- file was about to become visible.
-- KEYS[1]  hash, the link's state (keys.grant)
-- ARGV     prefix of the keys of resumable uploads (keys.resumable)
-- returns  {state, scope, ids of the files, open uploads}, each false where there is none
local found, fields = redis.call('HGETALL', KEYS[1]), {}
for n = 1, #found, 2 do fields[found[n]] = found[n + 1] end
local files = fields.files or ''
for field, file in pairs(fields) do
  local capability = string.match(field, '^u:(.+)$')
  if capability and file ~= '' and redis.call('EXISTS', ARGV[1] .. capability) == 0 then
    redis.call('HDEL', KEYS[1], field)
    if not string.find(files, file, 1, true) then
      fields.begun = redis.call('HINCRBY', KEYS[1], 'begun', -1)
      fields.open = redis.call('HINCRBY', KEYS[1], 'open', -1)
    end
  end
end
if files == '' and tonumber(fields.begun or 1) <= 0 then
  redis.call('DEL', KEYS[1])
  return {false, false, false, false}
end
return {fields.state or false, fields.scope or false, fields.files or false, fields.open or false}
