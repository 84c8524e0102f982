"""Closes connections that never send a request.

aiohttp limits the time between the requests of a connection, but not the time before the first one: clients that send
one byte now and then could hold as many connections as they like.
"""

import asyncio

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from longshore.gateway.http.server.aiohttp_internals import has_requested

_FIRST_REQUEST_TIMEOUT_S = 20.0    # from the connection to the whole head of its first request
_CHECK_EVERY_S = 5.0


async def close_silent_connections(
    runner: web.AppRunner, *, timeout_s: float = _FIRST_REQUEST_TIMEOUT_S, check_every_s: float = _CHECK_EVERY_S
) -> None:
    """Close the connections of a running `runner` whose first request does not arrive in time; until cancelled."""
    loop = asyncio.get_running_loop()
    silent_since_s: dict[RequestHandler, float] = {}
    while True:
        await asyncio.sleep(check_every_s)
        server, now_s = runner.server, loop.time()
        silent = [connection for connection in server.connections if not has_requested(connection)] if server else []
        silent_since_s = {connection: silent_since_s.get(connection, now_s) for connection in silent}
        for connection, since_s in silent_since_s.items():
            if now_s - since_s >= timeout_s - check_every_s:
                connection.force_close()
