"""Log level of an upstream session, raised to the level that modern clients ask for with each request.

Modern clients share one upstream session, which sends the most verbose level asked for so far. Each client gets only
the messages of its own level.
"""

import asyncio
from contextlib import suppress

from longshore.gateway.appkeys import SESSIONS
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.upstream.rpc import request
from longshore.gateway.wire import to_legacy
from longshore.shared.errors import LongshoreError

_TIMEOUT_S = 5.0


async def raise_level(exchange: Exchange) -> None:
    """Raise the upstream session's log level to that of this request, if it has one.

    A server that refuses the level is asked once in a session. Neither a refusal nor a timeout fails the request.
    """
    level = exchange.route.log_level
    upstream_id, session_id = exchange.session.upstream_id, exchange.session_owner.session_id
    if not level or not upstream_id:
        return
    sessions = exchange.request.app[SESSIONS]
    if to_legacy.covers_level(await sessions.upstream_level(session_id, upstream_id), level):
        return
    with suppress(LongshoreError, TimeoutError):
        async with asyncio.timeout(_TIMEOUT_S):
            await request(exchange.mount.client, exchange.upstream_headers(), "logging/setLevel", {"level": level})
        await sessions.set_upstream_level(session_id, upstream_id, level)
