-- Take the frames that have come to a listener, keep its mailbox, and see whether the process that sends them lives.
-- KEYS[1]  hash, the mailbox that it listens at (keys.mailbox)
-- KEYS[2]  list, frames that it has not taken yet (keys.stream_frames)
-- KEYS[3]  string, the sending process lives (keys.call_gateway_alive)
-- ARGV     most frames, time to live of the mailbox in ms
-- returns  {sender lives 0|1, frame, ...}
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local taken = redis.call('LPOP', KEYS[2], ARGV[1])
local answer = {redis.call('EXISTS', KEYS[3])}
for _, frame in ipairs(taken or {}) do answer[#answer + 1] = frame end
return answer
