"""Clients that send no request, or send it too slowly, are disconnected."""

import asyncio

from aiohttp import web

from longshore.gateway.app import public_runner
from longshore.gateway.http.server.idle_connections import close_silent_connections
from longshore.shared.metrics import Metrics
from longshore.shared.tasks import Tasks
from tests.fixtures.gateway import Backing, entry
from tests.fixtures.upstreams import ScriptedUpstream


async def test_a_connection_without_a_request_is_dropped_and_others_are_not(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    runner = public_runner(shared_backing.config(entry(upstream.url)), Metrics())
    await runner.setup()
    watching = Tasks()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        watching.spawn(close_silent_connections(runner, timeout_s=0.3, check_every_s=0.05), name="drop_silent")
        host, port = runner.addresses[0][:2]
        silent, silent_out = await asyncio.open_connection(host, port)
        dripping, drip = await asyncio.open_connection(host, port)
        used, ask = await asyncio.open_connection(host, port)
        drip.write(b"GET /healthz HTT")
        ask.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = await used.readuntil(b"\r\n\r\n")

        async with asyncio.timeout(20):
            assert await silent.read() == b""
            assert await dripping.read() == b""
        ask.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        second = await used.readuntil(b"HTTP/1.1 200 OK")

        assert first.startswith(b"HTTP/1.1 200 OK")
        assert second.endswith(b"HTTP/1.1 200 OK")
        for writer in (silent_out, drip, ask):
            writer.close()
    finally:
        await watching.close()
        await runner.cleanup()
