"""Drain of a gateway on a stop signal: calls finish, streams are ended, no response is cut off."""

import asyncio

import aiohttp
from aiohttp import web

from longshore.gateway.app import public_runner
from longshore.shared.metrics import Metrics
from tests.fixtures.gateway import Backing, Client, entry
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result


async def test_a_standing_stream_does_not_delay_the_stop_and_a_call_may_finish(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    called, go_on, ever = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(seen: Seen) -> Reply:
        called.set()
        await go_on.wait()
        return result(seen, {"content": [{"type": "text", "text": "finished"}]})

    async def standing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": open\n\n")
        await ever.wait()
        return response

    upstream.on_get = standing
    upstream.behaviours["tools/call"] = slow
    runner = public_runner(shared_backing.config(entry(upstream.url)), Metrics())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as http:
        client = Client(http, f"http://{host}:{port}", "/mcp/files")
        await client.initialize()
        headers = client.headers({"Accept": "text/event-stream"})
        async with http.get(client.base + client.mount, headers=headers) as stream, asyncio.timeout(20):
            await stream.content.readuntil(b"\n\n")
            call = asyncio.gather(client.call("echo"))
            await called.wait()
            draining = asyncio.gather(runner.cleanup())

            assert await stream.content.read() == b""     # an orderly end, not a reset
            assert not call.done()
            go_on.set()
            (said,) = await call
            await draining
    ever.set()

    assert said["content"][0]["text"] == "finished"
