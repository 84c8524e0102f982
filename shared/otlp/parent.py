"""The span in another process that one here belongs to, as `traceparent` names it. Pure."""

import re
from typing import NamedTuple

_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.{0,200})?")


class Parent(NamedTuple):
    """A span that somebody else records, or not."""

    trace_id: bytes
    span_id: bytes
    is_sampled: bool


def parent_of(traceparent: str) -> Parent | None:
    """The span that a `traceparent` names, None for one that is malformed (W3C Trace Context §3.2.2)."""
    found = _PARENT.fullmatch(traceparent) if len(traceparent) < 256 else None
    if found is None or (found[1] == "00" and len(traceparent) != 55):
        return None
    return Parent(bytes.fromhex(found[2]), bytes.fromhex(found[3]), is_sampled=bool(int(found[4], 16) & 1))
