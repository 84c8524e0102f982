-- Renew the reservation of a running upload. One that was committed or released stays so.
-- KEYS[1]  sorted set, the scope's reservations by the expiry of their lease (keys.reserved)
-- KEYS[2]  sorted set, those of all scopes (keys.reserved_total)
-- ARGV     reservation, lease time in ms
-- returns  nothing
local until_ms = now_ms() + tonumber(ARGV[2])
for n = 1, #KEYS do
  if redis.call('ZSCORE', KEYS[n], ARGV[1]) then
    redis.call('ZADD', KEYS[n], until_ms, ARGV[1])
    if redis.call('PTTL', KEYS[n]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[n], ARGV[2]) end
  end
end
