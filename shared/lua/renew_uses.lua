-- Renew a running call's hold on its files. A hold that has lapsed stays so.
-- KEYS[1]  sorted set, files in use by the expiry of the call's lease (keys.files_in_use)
-- ARGV     lease time in ms, members ...
-- returns  number of held files
local now = now_ms()
local held = 0
for n = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[n]) then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[n])
    held = held + 1
  end
end
if held > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return held
