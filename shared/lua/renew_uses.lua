-- Prolong a running call's hold on its files. What is not held any more stays free.
-- KEYS[1]  sorted set, files that calls use by the expiry of the call's lease (keys.files_in_use)
-- ARGV     lease time in ms, members ...
-- returns  how many are held
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local held = 0
for n = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[n]) then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[n])
    held = held + 1
  end
end
if held > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return held
