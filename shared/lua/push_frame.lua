-- Append a frame for a receiver in another process and wake it, unless its list is full or it is gone.
-- KEYS[1]  hash, the receiver's mailbox (keys.mailbox)
-- KEYS[2]  list, its frames (keys.stream_frames)
-- ARGV     frame, max frames, time to live in ms, prefix of the channels of processes
--          (keys.mailbox_channel), mailbox id
-- returns  1 appended, 0 the list is full, -1 the receiver is gone
local waits = redis.call('HGET', KEYS[1], 'waits')
if not waits then return -1 end
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[2]) then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PUBLISH', ARGV[4] .. waits, ARGV[5])
return 1
