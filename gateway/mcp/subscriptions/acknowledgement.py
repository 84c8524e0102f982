"""Acknowledgement of `subscriptions/listen`, extended where longshore has change notifications that its server has not.
"""

from collections.abc import AsyncIterator

from longshore.gateway.wire import changes, sse

_MAX_EVENT_BYTES = 16 * 1024 * 1024


class Acknowledgement:
    """Acknowledgement of one stream. No notification is sent before it (`is_sent`)."""

    def __init__(self) -> None:
        self.is_sent = False

    async def extended(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the stream's bytes with longshore's resources added to the acknowledgement, all else as received."""
        parser = sse.Parser(_MAX_EVENT_BYTES)
        async for chunk in chunks:
            if self.is_sent:
                yield chunk
                continue
            out = b""
            for event in parser.feed(chunk):
                data = None if self.is_sent else changes.with_resources_acknowledged(event.data)
                out += event.source if data is None else event.with_data(data)
                self.is_sent = self.is_sent or data is not None
            if self.is_sent:
                out += parser.rest()
            if out:
                yield out
