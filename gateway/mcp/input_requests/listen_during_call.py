"""Standing stream of the upstream session that a call runs in: open during the call, for requests of the server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.to_legacy_upstream import answer_server
from longshore.gateway.mcp.input_requests import standing_stream_requests
from longshore.gateway.mcp.input_requests.standing_streams import STANDING_STREAMS, ignore_errors
from longshore.gateway.mcp.input_requests.suspended_call import SuspendableCall
from longshore.gateway.mcp.subscriptions import legacy_source
from longshore.gateway.mcp.subscriptions.publish import MAX_EVENT_BYTES, UpstreamContext
from longshore.gateway.wire import jsonrpc
from longshore.shared.errors import LongshoreError

_OPEN_TIMEOUT_S = 1.0        # then the call starts without the stream


@asynccontextmanager
async def standing_stream_open(exchange: Exchange, call: SuspendableCall) -> AsyncIterator[None]:
    """Pass requests on the standing stream of the call's upstream session to `call` while the block runs."""
    app = exchange.request.app
    if exchange.route.session_owner is not None:
        upstream = UpstreamContext(exchange.request, exchange.mount, exchange.session_owner)
        opener = legacy_source.opener(upstream, standing_stream_requests.route)
        async with app[STANDING_STREAMS].attach(exchange.session_owner.session_id, call, opener):
            yield
        return
    is_ready = asyncio.Event()
    reader = app[TASKS].start(_read(exchange, call, is_ready), name="read_standing_stream")
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                await is_ready.wait()
        yield
    finally:
        reader.cancel()
        app[STANDING_STREAMS].refuse_requests(call)


async def _read(exchange: Exchange, call: SuspendableCall, is_ready: asyncio.Event) -> None:
    """Read the standing stream of a session in which only this call runs."""
    headers = {**exchange.upstream_headers(), "Accept": "text/event-stream"}
    try:
        async with exchange.mount.client.exchange("GET", headers) as answer:
            if answer.status != 200 or not answer.is_stream:
                return
            is_ready.set()
            async for event in answer.events(MAX_EVENT_BYTES):
                if jsonrpc.is_request(event.data) and (response := call.request_input(event.data)) is not None:
                    await ignore_errors(answer_server(exchange, response))
    except LongshoreError:
        return                   # the call itself fails with it
    finally:
        is_ready.set()
