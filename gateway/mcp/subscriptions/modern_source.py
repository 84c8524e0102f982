"""Changes of a modern upstream: one `subscriptions/listen` for the resources of all subscribers.

It is replaced by another one when these change (MCP 2026-07-28 basic/patterns/subscriptions).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import upstream_headers
from longshore.gateway.mcp.subscriptions.publish import MAX_EVENT_BYTES, UpstreamContext, publish
from longshore.gateway.mcp.subscriptions.stream_reader import StreamReader
from longshore.gateway.mcp.subscriptions.upstream_feed import FeedOwner, Opener, Source
from longshore.gateway.upstream.headers import own_request_headers
from longshore.gateway.wire import changes, jsonrpc, modern
from longshore.shared import ids
from longshore.shared.errors import LongshoreError, UpstreamDown

_LISTEN = "subscriptions/listen"
_LISTS = frozenset({changes.TOOLS, changes.PROMPTS, changes.RESOURCES})
_OPEN_TIMEOUT_S = 15.0
_PROBE_AGAIN_S = 3_600.0     # a server without the method may have it by then
_REFUSALS = frozenset({200, 400, 404, 405})      # HTTP statuses of a JSON answer in place of a stream


def opener(upstream: UpstreamContext) -> Opener:
    """Return the opener of the stream, which sends the headers of the caller."""
    return partial(_open, upstream)


@asynccontextmanager
async def _open(upstream: UpstreamContext, owner: FeedOwner) -> AsyncIterator[Source]:
    source = ModernSource(upstream, owner)
    try:
        yield source
    finally:
        await source.stop()


class ModernSource:
    """The open stream, if there is one: the first `subscribe` opens it."""

    def __init__(self, upstream: UpstreamContext, owner: FeedOwner) -> None:
        self._upstream = upstream
        self._owner = owner
        self._uris: frozenset[str] = frozenset()
        self._reader: StreamReader | None = None

    @property
    def is_over(self) -> bool:
        """True where the stream has ended."""
        return self._reader is not None and self._reader.is_over

    async def stop(self) -> None:
        """Close the stream."""
        if self._reader is not None:
            await self._reader.stop()

    async def subscribe(self, uris: frozenset[str]) -> bytes:
        """Subscribe to `uris` and to every list. The stream before is closed once the new one is open."""
        if self._reader is not None and uris == self._uris:
            return b""
        before, reader = self._reader, StreamReader(self._owner)
        reader.start(self._upstream.request.app[TASKS], self._read(reader, uris), name="read_changes")
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                await reader.is_ready.wait()
        except TimeoutError:
            await reader.stop()
            raise UpstreamDown("the upstream server does not acknowledge subscriptions/listen") from None
        self._reader, self._uris = reader, uris
        if before is not None:
            await before.stop()
        if reader.is_over:
            raise UpstreamDown("the upstream server refused subscriptions/listen")
        return b""

    async def _read(self, reader: StreamReader, uris: frozenset[str]) -> None:
        headers = own_request_headers(upstream_headers(self._upstream.request, self._upstream.mount, ""))
        headers |= modern.request_headers(_LISTEN)
        listen_id = f"longshore-{ids.new_id()}"
        params = {"_meta": modern.OWN_META, "notifications": changes.encode_filter(changes.ChangeFilter(_LISTS, uris))}
        body = jsonrpc.request(listen_id, _LISTEN, params)
        with suppress(LongshoreError):       # the stream is over then, which the feed sees
            async with self._upstream.mount.client.exchange("POST", headers, body, is_long_lived=True) as answer:
                if answer.content_type == "application/json" and answer.status in _REFUSALS:
                    reader.is_ready.set()    # the server refuses, or ends the stream at once
                    await asyncio.sleep(_PROBE_AGAIN_S)
                if answer.status != 200 or not answer.is_stream:
                    return
                async for event in answer.events(MAX_EVENT_BYTES):
                    if jsonrpc.is_response_to(event.data, listen_id):
                        return
                    if event.data and not await publish(self._upstream, event.data):
                        reader.is_ready.set()    # with the acknowledgement, which comes first
