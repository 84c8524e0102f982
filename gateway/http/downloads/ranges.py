"""Range requests: the bytes of a file that a request asks for (RFC 9110 §14). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SINGLE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int
    partial: bool


def requested_range(headers: Mapping[str, str], *, size_bytes: int, etag: str) -> ByteRange | None:
    """Return the requested bytes; None for a range outside the file (416).

    Several ranges, a malformed header, and an `If-Range` that names another version mean the whole file.
    """
    whole = ByteRange(0, size_bytes, partial=False)
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
        return ByteRange(max(0, size_bytes - length), size_bytes, partial=True) if length else None
    start = int(first)
    end = min(int(last) + 1, size_bytes) if last else size_bytes
    if last and int(last) < start:
        return whole
    return ByteRange(start, end, partial=True) if start < size_bytes else None
