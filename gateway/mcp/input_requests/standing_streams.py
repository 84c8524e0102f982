"""Standing streams of upstream sessions, heard while calls run there whose client can be asked.

Some servers ask there instead of within the answer to the call, where nothing says what a question belongs to. It
belongs to the one call that runs in that session, if there is just one. The stream is one of those that gateways take
turns in holding; it stays for a while, since the next call is often near.
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

ASKED = "asked"              # a question for the one call of a session, in whichever gateway that runs
_OPEN_S = 1.0                # what a call waits for its stream
_STAYS_S = 5.0


class StandingStreams:
    """Every session that this gateway runs such calls in, by the id of its record. Built once at start-up."""

    def __init__(self, feeds: Feeds, hearing: EventListener, tasks: Tasks) -> None:
        self._feeds = feeds
        self._hearing = hearing
        self._tasks = tasks
        self._stands: dict[str, _SessionStream] = {}

    @asynccontextmanager
    async def attach(self, session_id: str, call: SuspendableCall, opener: Opener) -> AsyncIterator[None]:
        """Take what is asked on the stream of `session_id` for questions of `call`, while the block runs."""
        stand = self._stands.get(session_id)
        if stand is None:
            stand = self._stands[session_id] = _SessionStream()
            self._tasks.spawn(self._stand(session_id, stand, opener), name="stand")
        stand.calls.add(call)
        stand.changed.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_OPEN_S):
                    await stand.ready.wait()
            yield
        finally:
            stand.calls.discard(call)
            stand.changed.set()
            self.withdraw(call)

    def withdraw(self, call: SuspendableCall) -> None:
        """Tell the server that nobody will answer any more what it asked of a call that has ended."""
        for question in call.withdrawn():
            self._tasks.spawn(quietly(call.reply(server_requests.call_ended_error(question))), name="refuse_request")

    def only_call(self, session_id: str) -> SuspendableCall | None:
        """The one such call that runs in this session and gateway."""
        stand = self._stands.get(session_id)
        return next(iter(stand.calls)) if stand is not None and len(stand.calls) == 1 else None

    def close(self) -> None:
        """Hold no streams any more."""
        for stand in self._stands.values():
            stand.is_closed = True
            stand.changed.set()

    async def _stand(self, session_id: str, stand: "_SessionStream", opener: Opener) -> None:
        """Hold the stream, or see to it that another gateway does, until no call has run for a while."""
        nothing = Subscriber(ChangeFilter(frozenset()))
        try:
            async with (
                self._hearing.subscribed(session_id, partial(self._hear, session_id)),
                self._feeds.joined(session_id, nothing, opener, waits=False),
            ):
                stand.ready.set()
                await stand.until_unused()
                self._forget(session_id, stand)
        except StoreDown:
            stand.ready.set()
        finally:
            self._forget(session_id, stand)

    def _forget(self, session_id: str, stand: "_SessionStream") -> None:
        if self._stands.get(session_id) is stand:
            del self._stands[session_id]

    def _hear(self, session_id: str, event: Event) -> None:
        call = self.only_call(session_id)
        if event.kind == ASKED and call is not None and (refusal := call.ask(event.data)) is not None:
            self._tasks.spawn(quietly(call.reply(refusal)), name="refuse_request")


class _SessionStream:
    """One session's stream, and the calls that may be asked there."""

    def __init__(self) -> None:
        self.calls: set[SuspendableCall] = set()
        self.ready = asyncio.Event()
        self.changed = asyncio.Event()
        self.is_closed = False

    async def until_unused(self) -> None:
        while not self.is_closed:
            self.changed.clear()
            try:
                async with asyncio.timeout(None if self.calls else _STAYS_S):
                    await self.changed.wait()
            except TimeoutError:
                if not self.calls:
                    return


async def quietly(work: Awaitable[object]) -> None:
    """Do it; what fails of it, something else will tell."""
    with suppress(LongshoreError):
        await work


STANDING_STREAMS = web.AppKey("stands", StandingStreams)
