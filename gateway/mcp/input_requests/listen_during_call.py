"""A call whose server may also ask on its session's standing stream, which is heard while the call runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.to_legacy_upstream import answer_server
from longshore.gateway.mcp.input_requests import standing_stream_requests
from longshore.gateway.mcp.input_requests.standing_streams import STANDING_STREAMS, quietly
from longshore.gateway.mcp.input_requests.suspended_call import SuspendableCall
from longshore.gateway.mcp.subscriptions import legacy_source
from longshore.gateway.mcp.subscriptions.publish import MAX_EVENT_BYTES, UpstreamContext
from longshore.gateway.wire import jsonrpc
from longshore.shared.errors import LongshoreError

_OPEN_S = 1.0                # what the call waits for the stream


@asynccontextmanager
async def standing_stream_open(exchange: Exchange, call: SuspendableCall) -> AsyncIterator[None]:
    """Hear, while the block runs, what the server asks on the standing stream of the call's session."""
    app = exchange.request.app
    if exchange.route.session_owner is not None:
        way = UpstreamContext(exchange.request, exchange.mount, exchange.session_owner)
        opener = legacy_source.opener(way, standing_stream_requests.route)
        async with app[STANDING_STREAMS].attach(exchange.session_owner.session_id, call, opener):
            yield
        return
    begun = asyncio.Event()
    reading = app[TASKS].start(_read(exchange, call, begun), name="read_standing_stream")
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPEN_S):
                await begun.wait()
        yield
    finally:
        reading.cancel()
        app[STANDING_STREAMS].withdraw(call)


async def _read(exchange: Exchange, call: SuspendableCall, begun: asyncio.Event) -> None:
    """The standing stream of a session in which nothing runs but this call."""
    headers = {**exchange.upstream_headers(), "Accept": "text/event-stream"}
    try:
        async with exchange.mount.client.exchange("GET", headers) as answer:
            if answer.status != 200 or not answer.is_stream:
                return
            begun.set()
            async for event in answer.events(MAX_EVENT_BYTES):
                if jsonrpc.is_request(event.data) and (refusal := call.ask(event.data)) is not None:
                    await quietly(answer_server(exchange, refusal))
    except LongshoreError:
        return                   # the call itself will tell
    finally:
        begun.set()
