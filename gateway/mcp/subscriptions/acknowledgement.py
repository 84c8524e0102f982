"""The message that a stream of changes begins with, where longshore tells more on the stream than its server does."""

from collections.abc import AsyncIterator

from longshore.gateway.wire import changes, sse

_MAX_EVENT_BYTES = 16 * 1024 * 1024


class Acknowledgement:
    """Whether it is out: nothing that it promises comes before it."""

    def __init__(self) -> None:
        self.is_out = False

    async def through(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The stream's bytes, its acknowledgement with longshore's resources added, all else as it came."""
        parser = sse.Parser(_MAX_EVENT_BYTES)
        async for chunk in chunks:
            if self.is_out:
                yield chunk
                continue
            out = b""
            for event in parser.feed(chunk):
                more = None if self.is_out else changes.with_resources_acknowledged(event.data)
                out += event.source if more is None else event.with_data(more)
                self.is_out = self.is_out or more is not None
            if self.is_out:
                out += parser.rest()
            if out:
                yield out
