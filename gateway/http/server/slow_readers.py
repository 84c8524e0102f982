"""Clients that take nothing of what is sent to them are let go after a while.

What waits for one is a call with its lease, its connection to the upstream and a buffer. TCP keeps its
connection for as long as its machine answers at all, and a call's own time limit ends its upstream, not the wait.
"""

import asyncio

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

_WRITE_TIMEOUT_S = 60.0
_CHECKS = 6                   # within that time


async def reset_stalled_connections(runner: web.AppRunner, *, patience_s: float = _WRITE_TIMEOUT_S) -> None:
    """Reset connections of a running `runner` that had bytes waiting for `patience_s` and took none of them;
    until cancelled.

    A writer waits while much is waiting, so that from then on every change is progress.
    """
    stalled: dict[asyncio.Transport, tuple[int, int]] = {}    # to bytes waiting, and how often it was just as many
    while True:
        await asyncio.sleep(patience_s / _CHECKS)
        seen, stalled = stalled, {}
        for connection in runner.server.connections if runner.server is not None else []:
            transport = connection.transport
            waiting = transport.get_write_buffer_size() if transport is not None else 0
            if transport is None or waiting == 0:
                continue
            before, looks = seen.get(transport, (0, 0))
            looks = looks + 1 if before == waiting else 0
            if looks < _CHECKS:
                stalled[transport] = (waiting, looks)
                continue
            log.info("slow_reader_let_go", waiting_bytes=waiting)
            transport.abort()
