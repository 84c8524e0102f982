-- Take the frames of a receiver, renew its mailbox, and check the sender's heartbeat.
-- KEYS[1]  hash, the receiver's mailbox (keys.mailbox)
-- KEYS[2]  list, its frames (keys.stream_frames)
-- KEYS[3]  string, heartbeat of the sender (keys.call_gateway_alive)
-- ARGV     max frames, time to live of the mailbox in ms
-- returns  {sender is alive 0|1, frame, ...}
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local taken = redis.call('LPOP', KEYS[2], ARGV[1])
local answer = {redis.call('EXISTS', KEYS[3])}
for _, frame in ipairs(taken or {}) do answer[#answer + 1] = frame end
return answer
