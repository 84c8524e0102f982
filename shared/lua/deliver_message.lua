-- Put a message into an open, empty mailbox and wake its waiter. A second message is refused.
-- KEYS[1]  hash, the mailbox (keys.mailbox)
-- ARGV     message, prefix of the channels of processes (keys.mailbox_channel), mailbox id
-- returns  1 delivered, 0 no such mailbox, or it has a message
local found = redis.call('HMGET', KEYS[1], 'waits', 'message')
if not found[1] or found[2] then return 0 end
redis.call('HSET', KEYS[1], 'message', ARGV[1])
redis.call('PUBLISH', ARGV[2] .. found[1], ARGV[3])
return 1
