"""Event streams to clients: opened here, kept alive while quiet, ended in good order when the gateway drains.

Balancers cut quiet connections, so a comment goes out on a stream that was quiet for a while (WHATWG HTML §9.2.7), but
never inside an event. A standing stream is opened again elsewhere by its client; waiting for it would hold the process
for its whole grace time.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web

from longshore.gateway.appkeys import SESSIONS, TASKS
from longshore.gateway.mcp.list_cache import CHANGED, LIST_CACHE
from longshore.gateway.metrics import METRICS
from longshore.gateway.request_context import RequestContext
from longshore.shared.clock import monotonic_s

_QUIET_S = 15.0
_LOOK_EVERY_S = 5.0
_COMMENT_S = 0.5             # one slow client must not hold up the comments for the others
_COMMENT = b": keep-alive\n\n"
_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_HEADERS = {
    "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no",
}


class OpenStream:
    """Event stream to one client. All that goes out on it goes through `write`."""

    __slots__ = ("_between_events", "_inserts", "_on_first", "_writing", "response", "wrote_s")

    def __init__(self, response: web.StreamResponse, on_first: Callable[[], None] | None = None) -> None:
        self.response = response
        self._on_first = on_first
        self._between_events = True
        self._inserts: dict[bytes, None] = {}    # events of ours that wait for a place between two others
        self._writing = False
        self.wrote_s = monotonic_s()

    async def write(self, chunk: bytes) -> None:
        """Send `chunk`, waiting while the client is slow."""
        self.wrote_s = monotonic_s()
        self._between_events = chunk.endswith(_ENDS)
        self._writing = True
        try:
            await self.response.write(chunk)
            await self._insert()
        finally:
            self._writing = False
        if self._on_first is not None:
            self._on_first()
            self._on_first = None

    async def _insert(self) -> None:
        while self._inserts and self._between_events:
            event = next(iter(self._inserts))
            del self._inserts[event]
            await self.response.write(event)

    def put(self, event: bytes) -> bool:
        """Queue `event` to go out between two others. Return True where it waits from now on and `flush` is needed; one
        that waits already is not queued twice.
        """
        if event in self._inserts:
            return False
        self._inserts[event] = None
        return True

    async def flush(self) -> None:
        """Send what is queued, unless the stream is in the middle of an event: then it follows that."""
        if self._inserts and self._between_events and not self._writing:
            self._writing = True
            try:
                with contextlib.suppress(ConnectionError):
                    await self._insert()
            finally:
                self._writing = False

    async def close(self, farewell: bytes) -> None:
        """Send a last event, unless the stream is in the middle of one."""
        if farewell and self._between_events:
            with contextlib.suppress(ConnectionError):
                await self.write(farewell)

    async def comment(self) -> None:
        """Send a comment, unless the stream is in the middle of an event or its client is slow."""
        if self._between_events and not self._writing:
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_COMMENT_S):
                    await self.write(_COMMENT)


class Streams:
    """Every open stream of this process. Built once at start-up."""

    def __init__(self) -> None:
        self._open: set[OpenStream] = set()
        self._held: set[asyncio.Timeout] = set()
        self._ended = False

    @property
    def count(self) -> int:
        """Number of streams open now."""
        return len(self._open)

    def add(self, response: web.StreamResponse, on_first: Callable[[], None] | None = None) -> OpenStream:
        """Register a stream whose head is sent. `on_first` is called after its first bytes."""
        stream = OpenStream(response, on_first)
        self._open.add(stream)
        return stream

    def remove(self, stream: OpenStream) -> None:
        """Forget a stream that is over."""
        self._open.discard(stream)

    async def keep_alive(self) -> None:
        """Comment on quiet streams, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            before_s = monotonic_s() - _QUIET_S
            for stream in [stream for stream in self._open if stream.wrote_s < before_s]:
                await stream.comment()

    async def hold(self, work: Awaitable[None]) -> bool:
        """Run `work` until it ends by itself (True) or `end` is called (False), which ends it without an error."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._ended else None) as limit:
                self._held.add(limit)
                try:
                    await work
                finally:
                    self._held.discard(limit)
            return True
        return False

    def end(self) -> None:
        """End every standing stream, and each that is still to come, at once."""
        self._ended = True
        now_s = asyncio.get_running_loop().time()
        for limit in self._held:
            limit.reschedule(now_s)


STREAMS = web.AppKey("streams", Streams)


async def open_event_stream(
    request: web.Request, headers: Mapping[str, str], *, status: int = 200, context: RequestContext | None = None
) -> OpenStream:
    """Send the head of an event stream to the client. `Streams.remove` it at its end.

    With `context`, the time until its first bytes is counted.
    """
    response = web.StreamResponse(status=status, headers={**_HEADERS, **headers})
    await response.prepare(request)
    on_first = partial(_first_byte, request, context) if context is not None else None
    return request.app[STREAMS].add(response, on_first)


def _first_byte(request: web.Request, context: RequestContext) -> None:
    request.app[METRICS].first_byte(server=context.server, after_s=monotonic_s() - context.started_s)


def watch_lists(request: web.Request, context: RequestContext, data: bytes) -> None:
    """Notice that an upstream's list has changed. A notification cut in two between chunks goes unnoticed here;
    the list is then kept for its time at most."""
    if CHANGED in data and request.app[LIST_CACHE].is_on and context.session_id:
        request.app[TASKS].spawn(request.app[SESSIONS].count_list_change(context.session_id), name="lists_changed")
