-- Prolong the place of a request that still runs.
-- KEYS     for each whom it counts for: sorted set, requests by the expiry of their lease (keys.request_slots)
-- ARGV     id of the place, lease time in ms
-- returns  nothing
local clock = redis.call('TIME')
local until_ms = clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(ARGV[2])
for n = 1, #KEYS do
  redis.call('ZADD', KEYS[n], until_ms, ARGV[1])
  redis.call('PEXPIRE', KEYS[n], ARGV[2])
end
