"""Recognises tool errors which say that the session behind a server was lost and nothing ran. Pure.

Servers that are adapters themselves report a lost session of their own upstream so, as a tool result.
"""

import re

_LOST = re.compile(rb"\bsession (?:id )?(?:\w+ ){0,2}?(?:terminated|not found|expired|closed|invalid|unknown)\b|"
                   rb"(?:unknown|invalid|terminated|expired|no such|missing) session\b", re.IGNORECASE)
_IS_ERROR = re.compile(rb'"isError"\s*:\s*true')
_MAX_BYTES = 4096            # a longer error is about something else


def is_lost_session(body: bytes) -> bool:
    """True if `body`, the whole response to a tool call (JSON, or one event), is such an error and nothing else."""
    if not 0 < len(body) <= _MAX_BYTES or b"notifications/" in body:
        return False
    return _IS_ERROR.search(body) is not None and _LOST.search(body) is not None
