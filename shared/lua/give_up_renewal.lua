-- Let go of the right to renew an upstream session, if it is still held.
-- KEYS[1]  string, who opens a new upstream session now (keys.renewal_lock)
-- ARGV     the gateway's token
-- returns  let go 0|1
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
