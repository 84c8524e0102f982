-- Release the right to renew an upstream session, if still held.
-- KEYS[1]  string, token of the gateway that opens a new upstream session (keys.renewal_lock)
-- ARGV     the gateway's token
-- returns  released 0|1
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
