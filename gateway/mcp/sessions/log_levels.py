"""The log level of a session of the session era, raised to what callers without a session ask for with each request.

The session is shared: it says as much as any of them wanted so far, and each is told what it wants itself.
"""

import asyncio
from contextlib import suppress

from longshore.gateway.appkeys import SESSIONS
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.upstream.rpc import request
from longshore.gateway.wire import to_legacy
from longshore.shared.errors import LongshoreError

_WITHIN_S = 5.0


async def ensure(exchange: Exchange) -> None:
    """Let the upstream session say at least what this request wants to hear, if it is to hear anything.

    A server that does not take a level is asked once in a session; one that does not answer is left alone, and the
    request goes its way.
    """
    wanted = exchange.route.log_level
    upstream_id, session_id = exchange.session.upstream_id, exchange.session_owner.session_id
    if not wanted or not upstream_id:
        return
    sessions = exchange.request.app[SESSIONS]
    if to_legacy.covers_level(await sessions.upstream_level(session_id, upstream_id), wanted):
        return
    with suppress(LongshoreError, TimeoutError):
        async with asyncio.timeout(_WITHIN_S):
            await request(exchange.mount.client, exchange.upstream_headers(), "logging/setLevel", {"level": wanted})
        await sessions.set_upstream_level(session_id, upstream_id, wanted)
