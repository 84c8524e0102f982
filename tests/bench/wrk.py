"""Lua scripts for `wrk` that send whole requests of ours. Pure."""

from collections.abc import Sequence

SESSION = b"{session}"    # where a chained request takes the session id of the first answer

_DONE = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('OUTCOME {"requests":%d,"seconds":%f,"p50_ms":%f,"failures":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""

_IN_TURN = """
local turn = 0
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
"""

# One connection a thread: its requests come strictly one after the other. `request` leaves the turn as it
# is, because wrk calls it once more than it sends, to see whether it works.
_CHAINED = """
local turn = 1
local session = ""
request = function()
  return (string.gsub(requests[turn], "{session}", session))
end
response = function(status, headers, body)
  if turn == 1 then
    for name, value in pairs(headers) do
      if string.lower(name) == "mcp-session-id" then session = value end
    end
  end
  turn = turn % #requests + 1
end
"""


def in_turn(requests: Sequence[bytes]) -> str:
    """Sends `requests` in turn, on whichever connection is free."""
    return _table(requests) + _IN_TURN + _DONE


def chained(requests: Sequence[bytes]) -> str:
    """Sends `requests` one after the other, the session of the first answer in the rest."""
    return _table(requests) + _CHAINED + _DONE


def _table(requests: Sequence[bytes]) -> str:
    return "requests = {" + ",".join('"' + "".join(f"\\{byte:03d}" for byte in one) + '"' for one in requests) + "}\n"
