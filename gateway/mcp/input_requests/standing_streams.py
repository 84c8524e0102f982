"""Standing streams (GET) of upstream sessions, held open while suspendable calls run there.

Some servers send their requests there instead of within the answer to the call, where nothing says which call a
request belongs to. It belongs to the only call in that session, if there is just one. One gateway holds the stream,
as with all change feeds; it stays open for a while after the last call, since the next call often follows soon.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import partial

from aiohttp import web

from longshore.gateway.mcp.input_requests.suspended_call import SuspendableCall
from longshore.gateway.mcp.subscriptions.feeds import Feeds
from longshore.gateway.mcp.subscriptions.subscriber import Subscriber
from longshore.gateway.mcp.subscriptions.upstream_feed import Opener
from longshore.gateway.wire import server_requests
from longshore.gateway.wire.changes import ChangeFilter
from longshore.shared.errors import LongshoreError, StoreDown
from longshore.shared.messaging.pubsub import Event, EventListener
from longshore.shared.tasks import Tasks

SERVER_REQUEST = "asked"     # event: a request for the only call of a session, at whichever gateway that runs
_OPEN_TIMEOUT_S = 1.0        # then the call starts without the stream
_IDLE_S = 5.0                # after the last call


class StandingStreams:
    """Sessions that suspendable calls of this gateway run in, by session id. Built once at start-up."""

    def __init__(self, feeds: Feeds, events: EventListener, tasks: Tasks) -> None:
        self._feeds = feeds
        self._events = events
        self._tasks = tasks
        self._streams: dict[str, _SessionStream] = {}

    @asynccontextmanager
    async def attach(self, session_id: str, call: SuspendableCall, opener: Opener) -> AsyncIterator[None]:
        """Pass requests on the stream of `session_id` to `call` while the block runs."""
        stream = self._streams.get(session_id)
        if stream is None:
            stream = self._streams[session_id] = _SessionStream()
            self._tasks.spawn(self._hold(session_id, stream, opener), name="stand")
        stream.calls.add(call)
        stream.changed.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_OPEN_TIMEOUT_S):
                    await stream.ready.wait()
            yield
        finally:
            stream.calls.discard(call)
            stream.changed.set()
            self.refuse_requests(call)

    def refuse_requests(self, call: SuspendableCall) -> None:
        """Answer the server's open requests of a call that has ended with an error."""
        for request in call.take_requests():
            response = server_requests.call_ended_error(request)
            self._tasks.spawn(ignore_errors(call.respond(response)), name="refuse_request")

    def only_call(self, session_id: str) -> SuspendableCall | None:
        """Return the only suspendable call of this session at this gateway, None where there are several or none."""
        stream = self._streams.get(session_id)
        return next(iter(stream.calls)) if stream is not None and len(stream.calls) == 1 else None

    def close(self) -> None:
        """Close the streams."""
        for stream in self._streams.values():
            stream.is_closed = True
            stream.changed.set()

    async def _hold(self, session_id: str, stream: "_SessionStream", opener: Opener) -> None:
        """Hold the stream, or have another gateway hold it, until it is idle."""
        no_changes = Subscriber(ChangeFilter(frozenset()))
        try:
            async with (
                self._events.subscribed(session_id, partial(self._on_event, session_id)),
                self._feeds.subscribed(session_id, no_changes, opener, must_be_open=False),
            ):
                stream.ready.set()
                await stream.wait_idle()
                self._remove(session_id, stream)
        except StoreDown:
            stream.ready.set()
        finally:
            self._remove(session_id, stream)

    def _remove(self, session_id: str, stream: "_SessionStream") -> None:
        if self._streams.get(session_id) is stream:
            del self._streams[session_id]

    def _on_event(self, session_id: str, event: Event) -> None:
        call = self.only_call(session_id)
        if event.kind == SERVER_REQUEST and call is not None and (
            response := call.request_input(event.data)
        ) is not None:
            self._tasks.spawn(ignore_errors(call.respond(response)), name="refuse_request")


class _SessionStream:
    """One session's stream, and the calls that requests on it may belong to."""

    def __init__(self) -> None:
        self.calls: set[SuspendableCall] = set()
        self.ready = asyncio.Event()
        self.changed = asyncio.Event()
        self.is_closed = False

    async def wait_idle(self) -> None:
        """Wait until no call has run for a while, or the stream is closed."""
        while not self.is_closed:
            self.changed.clear()
            try:
                async with asyncio.timeout(None if self.calls else _IDLE_S):
                    await self.changed.wait()
            except TimeoutError:
                if not self.calls:
                    return


async def ignore_errors(work: Awaitable[object]) -> None:
    """Await `work` and ignore its failure, which shows elsewhere too."""
    with suppress(LongshoreError):
        await work


STANDING_STREAMS = web.AppKey("standing_streams", StandingStreams)
