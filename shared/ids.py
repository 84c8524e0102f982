"""Ids that are safe in URLs, file names and Redis keys, and cannot be guessed."""

import re
import secrets

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}\Z")


def new_id() -> str:
    """Return 22 characters, url-safe, 128 random bits."""
    return _token(16)


def new_session_id() -> str:
    """Return 32 characters, url-safe, 192 random bits; visible ASCII as MCP 2025-11-25 basic/transports requires."""
    return _token(24)


def _token(size_bytes: int) -> str:
    """Return a random token that does not start with a hyphen: a command line would read that as an option."""
    while (token := secrets.token_urlsafe(size_bytes)).startswith("-"):
        pass
    return token


def is_id(text: str) -> bool:
    """Return True if `text` has the form of a longshore id, so that it is safe in a key or a path."""
    return _TOKEN.match(text) is not None
