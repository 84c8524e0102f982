"""Ids that are safe in URLs, file names and Redis keys, and cannot be guessed."""

import re
import secrets

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}\Z")


def new_id() -> str:
    """22 characters, url-safe, 128 random bits."""
    return _token(16)


def new_session_id() -> str:
    """32 characters, url-safe, 192 random bits; visible ASCII as MCP 2025-11-25 basic/transports asks."""
    return _token(24)


def _token(size_bytes: int) -> str:
    """Random, and never with a hyphen first: command lines would take it for an option."""
    while (token := secrets.token_urlsafe(size_bytes)).startswith("-"):
        pass
    return token


def is_id(text: str) -> bool:
    """Whether `text` has the shape of an id of ours, so that it may enter a key or a path."""
    return _TOKEN.match(text) is not None
