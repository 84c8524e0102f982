"""The changes of a session-era upstream: its standing stream, and subscriptions to resources in its session."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial

import msgspec

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import has_lost_upstream, open_session, upstream_headers
from longshore.gateway.mcp.sessions.renewal import renew, reopen_upstream
from longshore.gateway.mcp.subscriptions.publish import MAX_EVENT_BYTES, Reading, UpstreamContext, publish
from longshore.gateway.mcp.subscriptions.upstream_feed import FeedOwner, Opener, Source
from longshore.gateway.request_context import VERSION_HEADER
from longshore.gateway.upstream.client import UpstreamResponse
from longshore.gateway.upstream.headers import own_request_headers
from longshore.gateway.wire import jsonrpc
from longshore.shared import ids
from longshore.shared.errors import LongshoreError, UpstreamDown
from longshore.shared.state.sessions import OpenSession

_HEAD_S = 3.0                # a server may hold the head of its stream back until there is something to say
_ASK_S = 10.0
_AT_ONCE = 8
_LOOK_AGAIN_S = 3_600.0       # whether a server without such a stream has one by now
_NONE = frozenset({400, 404, 405, 406, 501})     # how servers say that they have no such stream


class _Subscribed(msgspec.Struct, frozen=True, array_like=True):
    upstream_id: str             # another session has none of these
    uris: list[str]


_subscribed = msgspec.msgpack.Decoder(_Subscribed)


Respond = Callable[[bytes], Awaitable[None]]
OnRequest = Callable[[UpstreamContext, bytes, Respond], Coroutine[None, None, None]]


def opener(way: UpstreamContext, on_request: OnRequest) -> Opener:
    """Open the stream of the upstream session that the caller's scope has. `on_request` handles requests on it."""
    return partial(_opened, way, on_request)


@asynccontextmanager
async def _opened(way: UpstreamContext, on_request: OnRequest, ear: FeedOwner) -> AsyncIterator[Source]:
    source = LegacySource(way, on_request, ear, await _session_of(way))
    try:
        await source.begin()
        yield source
    finally:
        await source.reading.stop()


async def _session_of(way: UpstreamContext) -> OpenSession:
    session = await open_session(way.request, way.caller)
    if not has_lost_upstream(session):
        return session
    return await reopen_upstream(way.request, way.mount, way.caller, session)


class LegacySource:
    """The stream, and what is subscribed to in its session."""

    def __init__(self, way: UpstreamContext, on_request: OnRequest, ear: FeedOwner, session: OpenSession) -> None:
        self.reading = Reading(ear)
        self._way = way
        self._on_request = on_request
        self._session = session
        self._wake = ear.wake
        self._lost = False
        known = _subscribed.decode(ear.subscribed) if ear.subscribed else None
        is_same = known is not None and known.upstream_id == session.upstream_id
        self._uris = set(known.uris) if known is not None and is_same else set[str]()

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended, or the session that it belongs to."""
        return self.reading.is_over or self._lost

    async def begin(self) -> None:
        """Open the stream, in a new upstream session where the one that we knew is gone. Raises UpstreamDown."""
        self.reading.start(self._way.request.app[TASKS].start(self._read(), name="read_standing_stream"))
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEAD_S):
                await self.reading.begun.wait()
        if self._lost:
            way, lost = self._way, self._session.upstream_id
            await renew(way.request, way.mount, way.caller, lost=lost)
            raise UpstreamDown("the upstream server's session was lost, and is opened anew")
        if self.reading.is_over:
            raise UpstreamDown("the upstream server's stream could not be opened")

    def _headers(self) -> dict[str, str]:
        headers = upstream_headers(self._way.request, self._way.mount, self._session.upstream_id)
        return own_request_headers(headers) | {VERSION_HEADER: self._session.protocol}

    async def _read(self) -> None:
        """Until it ends; one that there is not is waited for."""
        headers = self._headers() | {"Accept": "text/event-stream"}
        with suppress(LongshoreError):       # it is over then, which its owner sees
            async with self._way.mount.client.exchange("GET", headers) as answer:
                self._lost = answer.status == 404 and bool(self._session.upstream_id)
                if answer.status in _NONE and not self._lost:
                    self.reading.begun.set()
                    await asyncio.sleep(_LOOK_AGAIN_S)
                elif answer.status == 200 and answer.is_stream:
                    self.reading.begun.set()
                    await self._follow(answer)

    async def _follow(self, answer: UpstreamResponse) -> None:
        async for event in answer.events(MAX_EVENT_BYTES):
            if event.data and not await publish(self._way, event.data) and jsonrpc.is_request(event.data):
                handling = self._on_request(self._way, event.data, self._post)     # which may have to wait
                self._way.request.app[TASKS].spawn(handling, name="put_question")

    async def want(self, uris: frozenset[str]) -> bytes:
        """Subscribe to what is new, unsubscribe from what nobody wants any more. What a server refuses stays undone:
        one may well be asked for what it does not have."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def do(method: str, uri: str) -> None:
            async with limit:
                try:
                    await self._post(jsonrpc.request(f"longshore-{ids.new_id()}", method, {"uri": uri}))
                except LongshoreError:       # one resource must not cost the others their stream
                    undone.add(uri)

        undone = set[str]()
        new, old = uris - self._uris, self._uris - uris
        await asyncio.gather(
            *(do("resources/subscribe", uri) for uri in sorted(new)),
            *(do("resources/unsubscribe", uri) for uri in sorted(old)),
        )
        self._uris = set(uris) ^ undone      # to be tried again when it is looked at next
        if not self._uris:
            return b""
        return msgspec.msgpack.encode(_Subscribed(self._session.upstream_id, sorted(self._uris)))

    async def _post(self, body: bytes) -> None:
        client = self._way.mount.client
        async with client.exchange("POST", self._headers(), body, timeout_s=_ASK_S) as answer:
            await answer.read()
            if answer.status == 404 and self._session.upstream_id:
                self._lost = True
                self._wake()
