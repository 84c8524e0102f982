-- Renew the slots of a running request.
-- KEYS     for each subject: sorted set, requests by the expiry of their lease (keys.request_slots)
-- ARGV     id of the slot, lease time in ms
-- returns  nothing
local until_ms = now_ms() + tonumber(ARGV[2])
for n = 1, #KEYS do
  redis.call('ZADD', KEYS[n], until_ms, ARGV[1])
  redis.call('PEXPIRE', KEYS[n], ARGV[2])
end
