"""Changes of a legacy upstream: the standing stream of a session, and subscriptions to resources in that session."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial

import msgspec

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import has_lost_upstream, open_session, upstream_headers
from longshore.gateway.mcp.sessions.renewal import renew, reopen_upstream
from longshore.gateway.mcp.subscriptions.publish import MAX_EVENT_BYTES, UpstreamContext, publish
from longshore.gateway.mcp.subscriptions.stream_reader import StreamReader
from longshore.gateway.mcp.subscriptions.upstream_feed import FeedOwner, Opener, Source
from longshore.gateway.request_context import VERSION_HEADER
from longshore.gateway.upstream.client import UpstreamResponse
from longshore.gateway.upstream.headers import own_request_headers
from longshore.gateway.wire import jsonrpc
from longshore.shared import ids
from longshore.shared.errors import LongshoreError, UpstreamDown
from longshore.shared.state.sessions import OpenSession

_OPEN_TIMEOUT_S = 3.0        # then it counts as open: a server may hold its head back until the first message
_REQUEST_TIMEOUT_S = 10.0
_CONCURRENCY = 8
_PROBE_AGAIN_S = 3_600.0     # a server without such a stream may have one by then
_NO_STREAM = frozenset({400, 404, 405, 406, 501})    # HTTP statuses of servers without such a stream

Respond = Callable[[bytes], Awaitable[None]]
OnRequest = Callable[[UpstreamContext, bytes, Respond], Coroutine[None, None, None]]


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    upstream_id: str             # another session has none of these subscriptions
    uris: list[str]


_saved = msgspec.msgpack.Decoder(_Saved)


def opener(upstream: UpstreamContext, on_request: OnRequest) -> Opener:
    """Return the opener of the caller's standing stream, whose requests go to `on_request`."""
    return partial(_open, upstream, on_request)


@asynccontextmanager
async def _open(upstream: UpstreamContext, on_request: OnRequest, owner: FeedOwner) -> AsyncIterator[Source]:
    session = await open_session(upstream.request, upstream.caller)
    if has_lost_upstream(session):
        session = await reopen_upstream(upstream.request, upstream.mount, upstream.caller, session)
    source = LegacySource(upstream, on_request, owner, session)
    try:
        await source.open()
        yield source
    finally:
        await source.reader.stop()


class LegacySource:
    """The standing stream, and the resources subscribed to in its session."""

    def __init__(
        self, upstream: UpstreamContext, on_request: OnRequest, owner: FeedOwner, session: OpenSession
    ) -> None:
        self.reader = StreamReader(owner)
        self._upstream = upstream
        self._on_request = on_request
        self._session = session
        self._on_closed = owner.on_closed
        self._is_lost = False                # the upstream session
        saved = _saved.decode(owner.saved_subscriptions) if owner.saved_subscriptions else None
        is_same = saved is not None and saved.upstream_id == session.upstream_id
        self._uris = set(saved.uris) if saved is not None and is_same else set[str]()

    @property
    def is_over(self) -> bool:
        """True where the stream has ended, or its session is lost."""
        return self.reader.is_over or self._is_lost

    async def open(self) -> None:
        """Open the stream. Raises UpstreamDown; where the upstream session was lost, it is renewed first."""
        upstream = self._upstream
        self.reader.start(upstream.request.app[TASKS], self._read(), name="read_standing_stream")
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                await self.reader.is_ready.wait()
        if self._is_lost:
            await renew(upstream.request, upstream.mount, upstream.caller, lost=self._session.upstream_id)
            raise UpstreamDown("the upstream server's session was lost, and is opened anew")
        if self.reader.is_over:
            raise UpstreamDown("the upstream server's stream could not be opened")

    def _headers(self) -> dict[str, str]:
        headers = upstream_headers(self._upstream.request, self._upstream.mount, self._session.upstream_id)
        return own_request_headers(headers) | {VERSION_HEADER: self._session.protocol}

    async def _read(self) -> None:
        """Read the stream until it ends. Where the server has none, wait until it may have one."""
        headers = self._headers() | {"Accept": "text/event-stream"}
        with suppress(LongshoreError):       # the stream is over then, which the feed sees
            async with self._upstream.mount.client.exchange("GET", headers) as answer:
                self._is_lost = answer.status == 404 and bool(self._session.upstream_id)
                if answer.status in _NO_STREAM and not self._is_lost:
                    self.reader.is_ready.set()
                    await asyncio.sleep(_PROBE_AGAIN_S)
                elif answer.status == 200 and answer.is_stream:
                    self.reader.is_ready.set()
                    await self._follow(answer)

    async def _follow(self, answer: UpstreamResponse) -> None:
        async for event in answer.events(MAX_EVENT_BYTES):
            if event.data and not await publish(self._upstream, event.data) and jsonrpc.is_request(event.data):
                handling = self._on_request(self._upstream, event.data, self._post)     # may wait
                self._upstream.request.app[TASKS].spawn(handling, name="put_question")

    async def subscribe(self, uris: frozenset[str]) -> bytes:
        """Subscribe to `uris`, unsubscribe from all others.

        A refusal by the server is not an error: the client may have named a resource that does not exist.
        """
        limit = asyncio.Semaphore(_CONCURRENCY)

        async def request(method: str, uri: str) -> None:
            async with limit:
                try:
                    await self._post(jsonrpc.request(f"longshore-{ids.new_id()}", method, {"uri": uri}))
                except LongshoreError:       # one resource must not cost the others their stream
                    failed.add(uri)

        failed = set[str]()
        new, old = uris - self._uris, self._uris - uris
        await asyncio.gather(
            *(request("resources/subscribe", uri) for uri in sorted(new)),
            *(request("resources/unsubscribe", uri) for uri in sorted(old)),
        )
        self._uris = set(uris) ^ failed      # these are tried again at the next check
        if not self._uris:
            return b""
        return msgspec.msgpack.encode(_Saved(self._session.upstream_id, sorted(self._uris)))

    async def _post(self, body: bytes) -> None:
        client = self._upstream.mount.client
        async with client.exchange("POST", self._headers(), body, timeout_s=_REQUEST_TIMEOUT_S) as answer:
            await answer.read()
            if answer.status == 404 and self._session.upstream_id:
                self._is_lost = True
                self._on_closed()
