"""Connections that never say what they want are not held for ever.

aiohttp has a limit between the requests of a connection, and none before the first; without one, clients
that send a byte now and then hold as many connections as they like.
"""

import asyncio

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

_FIRST_REQUEST_TIMEOUT_S = 20.0         # from the connection to its first whole request head
_CHECK_EVERY_S = 5.0


async def close_silent_connections(
    runner: web.AppRunner, *, after_s: float = _FIRST_REQUEST_TIMEOUT_S, look_every_s: float = _CHECK_EVERY_S
) -> None:
    """Close connections of a running `runner` whose first request head does not come in time, until cancelled."""
    loop = asyncio.get_running_loop()
    since_s: dict[RequestHandler, float] = {}
    while True:
        await asyncio.sleep(look_every_s)
        server, now_s = runner.server, loop.time()
        silent = [handler for handler in server.connections if _is_silent(handler)] if server is not None else []
        since_s = {handler: since_s.get(handler, now_s) for handler in silent}
        for handler, seen_s in since_s.items():
            if now_s - seen_s >= after_s - look_every_s:
                handler.force_close()


def _is_silent(handler: RequestHandler) -> bool:
    return handler._request_count == 0      # the only place where aiohttp counts them
