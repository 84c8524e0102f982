"""Routes a server request from the standing stream (GET) to the only call in flight in that session.

With several calls in flight, it waits 2 s for the others to end, then answers with an error.
"""

import asyncio
from contextlib import suppress

from longshore.gateway.appkeys import PUBLISHER, SESSIONS
from longshore.gateway.mcp.input_requests.standing_streams import SERVER_REQUEST, STANDING_STREAMS
from longshore.gateway.mcp.subscriptions.legacy_source import Respond
from longshore.gateway.mcp.subscriptions.publish import UpstreamContext
from longshore.gateway.wire import server_requests
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError
from longshore.shared.messaging.pubsub import Event

_TIMEOUT_S = 2.0             # for other calls to end
_POLL_EVERY_S = 0.05


async def route(upstream: UpstreamContext, data: bytes, respond: Respond) -> None:
    """Pass the request to the only call in the session of `upstream`, at any gateway; else respond with an error."""
    app, session_id = upstream.request.app, upstream.caller.session_id
    until_s = monotonic_s() + _TIMEOUT_S
    with suppress(LongshoreError):
        while (running := await app[SESSIONS].running_calls(session_id)) and monotonic_s() < until_s:
            if running > 1:
                await asyncio.sleep(_POLL_EVERY_S)
                continue
            call = app[STANDING_STREAMS].only_call(session_id)
            if call is None:
                await app[PUBLISHER].publish(Event(SERVER_REQUEST, session_id, data))
                return
            if (response := call.request_input(data)) is not None:
                await respond(response)
            return
        if (response := server_requests.own_response(data, server_requests.NO_INPUT)) is not None:
            await respond(response)
