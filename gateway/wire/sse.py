"""Server-sent events: incremental parser that keeps each event's own bytes, and encoder. Pure.

Source: WHATWG HTML §9.2.6; lines end in LF, CRLF or CR, an event ends at a blank line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from longshore.shared.errors import UpstreamDown

# A CR that ends the buffer may be half of a CRLF: its LF then leads the next event, where it is harmless.
_MAX_ID_BYTES = 1024
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")


@dataclass(frozen=True, slots=True)
class Event:
    """Event as received (`source`, blank line included) and its joined data lines."""

    source: bytes
    data: bytes

    def with_data(self, data: bytes) -> bytes:
        """Replace the data of the event; comments, id, type and retry are kept."""
        kept = [line for line in self.source.splitlines() if line and not _is_data(line)]
        return b"".join(line + b"\n" for line in kept) + _data_lines(data) + b"\n"


class Parser:
    """Splits a byte stream into events. Holds at most `max_event_bytes` of an unfinished one."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that `chunk` completes. Raises UpstreamDown if one exceeds the limit."""
        self._buffer += chunk
        while (end := self._event_end()) is not None:
            source = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._searched = 0
            if source.strip(b"\r\n"):
                yield Event(source, _data_of(source))
        if len(self._buffer) > self._max_event_bytes:
            raise UpstreamDown(f"the upstream server sent an event of more than {self._max_event_bytes} bytes")

    def rest(self) -> bytes:
        """Return the bytes after the last complete event."""
        return bytes(self._buffer)

    def _event_end(self) -> int | None:
        buffer, start = self._buffer, max(0, self._searched - 3)
        # Looking for one byte is fifty times as fast, and in the middle of a long line there is none.
        if buffer.find(b"\n", start) >= 0 or buffer.find(b"\r", start) >= 0:
            found = _EVENT_END.search(buffer, start)
            if found is not None:
                return found.end()
        self._searched = len(buffer)
        return None


def event(data: bytes) -> bytes:
    """Encode a message event with `data`."""
    return b"event: message\n" + _data_lines(data) + b"\n"


def id_of(source: bytes, before: str) -> str:
    """Return the last event id after this event; `before` if the event has no id that fits into a header."""
    for line in source.splitlines():
        if line == b"id" or line.startswith(b"id:"):
            value = line[3:].removeprefix(b" ")
            if len(value) <= _MAX_ID_BYTES and all(0x20 <= byte < 0x7F for byte in value):
                before = value.decode()
    return before


def retry_of(source: bytes) -> int | None:
    """Return the reconnection time of the event in ms, None for none."""
    for line in source.splitlines():
        if line.startswith(b"retry:") and (value := line[6:].strip()).isdigit() and len(value) < 10:
            return int(value)
    return None


def _is_data(line: bytes) -> bool:
    return line == b"data" or line.startswith(b"data:")


def _data_of(source: bytes) -> bytes:
    return b"\n".join(line[5:].removeprefix(b" ") for line in source.splitlines() if _is_data(line))


def _data_lines(data: bytes) -> bytes:
    """Encode one field per line: JSON with line breaks must not end the event."""
    lines = data.splitlines() or [b""]
    if data.endswith((b"\n", b"\r")):
        lines.append(b"")
    return b"".join(b"data: " + line + b"\n" for line in lines)
