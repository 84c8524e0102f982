-- Put a message into an open mailbox that has none yet, and wake whoever waits for it. Any other is refused.
-- KEYS[1]  hash, the mailbox (keys.mailbox)
-- ARGV     message, what the waiting process's channel begins with (keys.mailbox_channel), mailbox id
-- returns  1 delivered, 0 no such mailbox, or it has its message
local found = redis.call('HMGET', KEYS[1], 'waits', 'message')
if not found[1] or found[2] then return 0 end
redis.call('HSET', KEYS[1], 'message', ARGV[1])
redis.call('PUBLISH', ARGV[2] .. found[1], ARGV[3])
return 1
