"""Encodes any text as a header value: plain, or in base64 between sentinels. Pure.

MCP 2026-07-28 basic/transports/streamable-http §Value Encoding.
"""

import base64
import binascii
import re

_OPENS, _CLOSES = "=?base64?", "?="
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_ALLOWED = re.compile(r"[\t\x20-\x7e]*")


def encode(text: str) -> str:
    """Encode `text` as a header value: unchanged if HTTP keeps it intact, else in base64 between sentinels."""
    if not text or (_PLAIN.fullmatch(text) and not _is_marked(text)):
        return text
    return f"{_OPENS}{base64.b64encode(text.encode('utf-8', 'surrogatepass')).decode()}{_CLOSES}"


def decode(value: str) -> str | None:
    """Decode a header value. None if it holds a character that must be encoded, or if its encoding is malformed."""
    if not _is_marked(value):
        return value if _ALLOWED.fullmatch(value) else None
    inner = value[len(_OPENS):-len(_CLOSES)]
    try:
        data = base64.b64decode(inner, validate=True)
        text = data.decode()
    except (binascii.Error, UnicodeError, ValueError):
        return None
    # A text has exactly one encoding: base64 with stray bits at its end is refused.
    return text if base64.b64encode(data).decode() == inner else None


def _is_marked(value: str) -> bool:
    return len(value) >= len(_OPENS) + len(_CLOSES) and value.startswith(_OPENS) and value.endswith(_CLOSES)
