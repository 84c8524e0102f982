"""Which part of a file a request wants (RFC 9110 §14). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SINGLE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` up to, not including, `end`."""

    start: int
    end: int
    partial: bool


def wanted_span(headers: Mapping[str, str], *, size_bytes: int, etag: str) -> Span | None:
    """The wanted bytes; None when the range lies outside the file (416).

    Several ranges, a malformed header, and an `If-Range` that names another version mean the whole file.
    """
    whole = Span(0, size_bytes, partial=False)
    match = _SINGLE.match(headers.get("Range", "").replace(" ", ""))
    if match is None or headers.get("If-Range", etag) != etag:
        return whole
    first, last = match.groups()
    if not first and not last:
        return whole
    if not first:
        length = int(last)
        if not size_bytes and length:
            return whole  # satisfiable, but there is no Content-Range to say so
        return Span(max(0, size_bytes - length), size_bytes, partial=True) if length else None
    start = int(first)
    end = min(int(last) + 1, size_bytes) if last else size_bytes
    if last and int(last) < start:
        return whole
    return Span(start, end, partial=True) if start < size_bytes else None
