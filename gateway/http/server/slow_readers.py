"""Resets connections of clients that read nothing of a response.

Such a client holds a call with its lease, a connection to the upstream and a buffer. TCP keeps its connection as long
as its machine answers at all, and the call's own timeout ends the upstream request, not the wait for the client.
"""

import asyncio

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

_WRITE_TIMEOUT_S = 60.0
_CHECKS = 6                  # within that time


async def reset_stalled_connections(runner: web.AppRunner, *, timeout_s: float = _WRITE_TIMEOUT_S) -> None:
    """Reset the connections of a running `runner` whose clients read nothing for `timeout_s`; until cancelled.

    A handler stops writing while the buffer is full, so that from then on every change of its size is progress.
    """
    stalled: dict[asyncio.Transport, tuple[int, int]] = {}    # buffered bytes, and in how many checks the same number
    while True:
        await asyncio.sleep(timeout_s / _CHECKS)
        previous, stalled = stalled, {}
        for connection in runner.server.connections if runner.server is not None else []:
            transport = connection.transport
            waiting = transport.get_write_buffer_size() if transport is not None else 0
            if transport is None or waiting == 0:
                continue
            before, checks = previous.get(transport, (0, 0))
            checks = checks + 1 if before == waiting else 0
            if checks < _CHECKS:
                stalled[transport] = (waiting, checks)
                continue
            log.info("slow_reader_let_go", waiting_bytes=waiting)
            transport.abort()
