"""What a session-era server asks on its session's standing stream, put to the one call that runs in that session."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from longshore.gateway.appkeys import PUBLISHER, SESSIONS
from longshore.gateway.mcp.input_requests.standing_streams import ASKED, STANDING_STREAMS
from longshore.gateway.mcp.subscriptions.publish import UpstreamContext
from longshore.gateway.wire import server_requests
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError
from longshore.shared.messaging.pubsub import Event

Reply = Callable[[bytes], Awaitable[None]]
_ALONE_S = 2.0               # what a question waits for other calls to end
_LOOK_S = 0.05


async def route(way: UpstreamContext, data: bytes, reply: Reply) -> None:
    """Ask it of the one call that runs in the session of `way`, in whichever gateway; else answer it with an error."""
    app, session_id = way.request.app, way.caller.session_id
    until_s = monotonic_s() + _ALONE_S
    with suppress(LongshoreError):
        while (running := await app[SESSIONS].running_calls(session_id)) and monotonic_s() < until_s:
            if running > 1:
                await asyncio.sleep(_LOOK_S)
                continue
            call = app[STANDING_STREAMS].only_call(session_id)
            if call is None:
                await app[PUBLISHER].publish(Event(ASKED, session_id, data))
                return
            if (refusal := call.ask(data)) is not None:
                await reply(refusal)
            return
        if (refusal := server_requests.own_response(data, server_requests.NO_INPUT)) is not None:
            await reply(refusal)
