-- Open a mailbox that takes one message.
-- KEYS[1]  hash, the mailbox (keys.mailbox)
-- ARGV     id of the waiting process, time to live in ms
-- returns  1
redis.call('HSET', KEYS[1], 'waits', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
