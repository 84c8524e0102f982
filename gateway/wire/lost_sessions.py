"""Recognises answers which say that an upstream session was lost and nothing ran. Pure."""

import re

# Servers say so with 404 (MCP 2025-11-25 basic/transports §Session Management). Others answer 400 to every session id
# that they do not know, among them the official server-everything and supergateway: "No valid session ID provided".
_REFUSED = re.compile(
    rb"\b(?:mcp-)?session[ -]?id\b|\bsession (?:was |has been |is )?(?:not found|unknown|expired|terminated|invalid)\b|"
    rb"\b(?:unknown|invalid|expired|no such|no valid) session\b", re.IGNORECASE)
_MAX_REFUSAL_BYTES = 1024    # a longer one is about something else
# Servers that are adapters themselves report a lost session of their own upstream as a tool result.
_LOST = re.compile(rb"\bsession (?:id )?(?:\w+ ){0,2}?(?:terminated|not found|expired|closed|invalid|unknown)\b|"
                   rb"(?:unknown|invalid|terminated|expired|no such|missing) session\b", re.IGNORECASE)
_IS_ERROR = re.compile(rb'"isError"\s*:\s*true')
_MAX_ERROR_BYTES = 4096


def is_refused_session(body: bytes) -> bool:
    """True if `body`, the whole body of a refusal (400 or 404), is about the session id that the request named."""
    return 0 < len(body) <= _MAX_REFUSAL_BYTES and _REFUSED.search(body) is not None


def is_lost_session(body: bytes) -> bool:
    """True if `body`, the whole response to a tool call (JSON, or one event), says so as a tool error and nothing else.

    Only for servers that are known to say it so: a tool may fail with the same words after it ran.
    """
    if not 0 < len(body) <= _MAX_ERROR_BYTES or b"notifications/" in body:
        return False
    return _IS_ERROR.search(body) is not None and _LOST.search(body) is not None
