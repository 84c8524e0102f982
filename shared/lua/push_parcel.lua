-- Add a frame to what a process in another gateway listens to, unless it is slow or listens no more, and wake it.
-- KEYS[1]  hash, the mailbox that it listens at (keys.mailbox)
-- KEYS[2]  list, frames that it has not taken yet (keys.stream_frames)
-- ARGV     frame, most frames, time to live in ms, what its channel begins with (keys.mailbox_channel), mailbox id
-- returns  1 added, 0 no room now, -1 nobody listens
local waits = redis.call('HGET', KEYS[1], 'waits')
if not waits then return -1 end
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[2]) then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PUBLISH', ARGV[4] .. waits, ARGV[5])
return 1
