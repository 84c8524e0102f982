"""The changes of an upstream of the stateless revision: one `subscriptions/listen` for all that is wanted, in place of
which another is opened when that changes (MCP 2026-07-28 basic/patterns/subscriptions)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import upstream_headers
from longshore.gateway.mcp.subscriptions.publish import MAX_EVENT_BYTES, OPEN_S, Reading, UpstreamContext, publish
from longshore.gateway.mcp.subscriptions.upstream_feed import FeedOwner, Opener, Source
from longshore.gateway.upstream.headers import own_request_headers
from longshore.gateway.wire import changes, jsonrpc, modern
from longshore.shared import ids
from longshore.shared.errors import LongshoreError, UpstreamDown

_LISTEN = "subscriptions/listen"
_LISTS = frozenset({changes.TOOLS, changes.PROMPTS, changes.RESOURCES})
_LOOK_AGAIN_S = 3_600.0       # whether a server that has no such method has it by now
_ANSWERS = frozenset({200, 400, 404, 405})


def opener(way: UpstreamContext) -> Opener:
    """Opens the stream with the headers of the caller."""
    return partial(_opened, way)


@asynccontextmanager
async def _opened(way: UpstreamContext, ear: FeedOwner) -> AsyncIterator[Source]:
    source = ModernSource(way, ear)
    try:
        yield source
    finally:
        await source.stop()


class ModernSource:
    """The stream that is open, if one is."""

    def __init__(self, way: UpstreamContext, ear: FeedOwner) -> None:
        self._way = way
        self._ear = ear
        self._uris: frozenset[str] = frozenset()
        self._reading: Reading | None = None

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended."""
        return self._reading is not None and self._reading.is_over

    async def stop(self) -> None:
        """Leave the stream."""
        if self._reading is not None:
            await self._reading.stop()

    async def want(self, uris: frozenset[str]) -> bytes:
        """Listen for just these, and for every change of a list. The stream before is left once this one is open."""
        if self._reading is not None and uris == self._uris:
            return b""
        before, reading = self._reading, Reading(self._ear)
        reading.start(self._way.request.app[TASKS].start(self._read(reading, uris), name="read_changes"))
        try:
            async with asyncio.timeout(OPEN_S):
                await reading.begun.wait()
        except TimeoutError:
            await reading.stop()
            raise UpstreamDown("the upstream server does not acknowledge subscriptions/listen") from None
        self._reading, self._uris = reading, uris
        if before is not None:
            await before.stop()
        if reading.is_over:
            raise UpstreamDown("the upstream server refused subscriptions/listen")
        return b""

    async def _read(self, reading: Reading, uris: frozenset[str]) -> None:
        headers = own_request_headers(upstream_headers(self._way.request, self._way.mount, ""))
        headers |= modern.request_headers(_LISTEN)
        listen_id = f"longshore-{ids.new_id()}"
        params = {"_meta": modern.OWN_META, "notifications": changes.encode_filter(changes.ChangeFilter(_LISTS, uris))}
        body = jsonrpc.request(listen_id, _LISTEN, params)
        with suppress(LongshoreError):       # it is over then, which its owner sees
            async with self._way.mount.client.exchange("POST", headers, body, is_long_lived=True) as answer:
                if answer.content_type == "application/json" and answer.status in _ANSWERS:
                    reading.begun.set()      # it refuses, or ends the stream as soon as it began
                    await asyncio.sleep(_LOOK_AGAIN_S)
                if answer.status != 200 or not answer.is_stream:
                    return
                async for event in answer.events(MAX_EVENT_BYTES):
                    if jsonrpc.is_response_to(event.data, listen_id):
                        return
                    if event.data and not await publish(self._way, event.data):
                        reading.begun.set()      # the acknowledgement comes first
