"""Change events reach the subscribers of their scope, at every gateway, and no others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientResponse, web

from longshore.shared.keys import Keys
from longshore.shared.messaging.pubsub import RESOURCES, RESYNC, Event, EventListener, Publisher
from longshore.shared.redis.address import parse_redis_url
from longshore.shared.redis.connection import RedisLink
from longshore.shared.tasks import Tasks
from tests.fixtures.gateway import Backing, Client, connected, entry, gateway, producer
from tests.fixtures.redis_servers import server
from tests.fixtures.upstreams import ScriptedUpstream

_CHANGED = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/resources/list_changed"}\n\n'
_KEYS = Keys("longshore")


@asynccontextmanager
async def _news(url: str) -> AsyncIterator[tuple[Publisher, Tasks]]:
    tasks = Tasks()
    link = RedisLink(parse_redis_url(url), tasks)
    try:
        yield Publisher(link, _KEYS), tasks
    finally:
        await link.close()
        await tasks.close()


async def _stands(request: web.Request) -> web.StreamResponse:
    """A standing stream that starts in the middle of an event."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: {}\n\n")
    await asyncio.Event().wait()
    return response


async def _read(stream: ClientResponse, wanted: bytes) -> bytes:
    """Read the stream until `wanted` has arrived."""
    seen = b""
    async with asyncio.timeout(20):
        while wanted not in seen:
            chunk = await stream.content.readany()
            assert chunk, seen
            seen += chunk
    return seen


async def test_each_standing_stream_of_a_session_gets_the_change_of_longshores_resources(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """At two gateways, published by a third process; that of another session does not."""
    upstream.on_get = _stands
    config = shared_backing.config(entry(upstream.url, producer("write")))
    async with connected(config) as client, gateway(config) as second, _news(shared_backing.redis_url) as (news, _):
        other = Client(client.http, second, client.mount)
        await other.initialize()
        async with (
            client.http.get(client.base + client.mount, headers=client.headers()) as here,
            client.http.get(second + client.mount, headers=client.headers()) as there,
            client.http.get(second + client.mount, headers=other.headers()) as elsewhere,
        ):
            for stream in (here, there, elsewhere):
                await _read(stream, b"data: {}\n\n")
            await news.publish(Event(RESOURCES, client.session_id))
            told = [await _read(stream, _CHANGED) for stream in (here, there)]
            await news.publish(Event(RESOURCES, other.session_id))
            last = await _read(elsewhere, _CHANGED)

    assert told == [_CHANGED, _CHANGED]
    assert last == _CHANGED


async def test_clients_learn_that_artifacts_come_and_go(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """If they are resources; no other capability of the upstream changes."""
    upstream.capabilities = {"tools": {}, "resources": {"subscribe": True}}
    async with connected(shared_backing.config(entry(upstream.url, producer("write")))) as client:
        exposing = (await client.initialize())["capabilities"]
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        plain = (await client.initialize())["capabilities"]

    assert exposing == {"tools": {}, "resources": {"subscribe": True, "listChanged": True}}
    assert plain == {"tools": {}, "resources": {"subscribe": True}}


async def test_subscribers_get_a_resync_after_a_lost_connection() -> None:
    """Events published while the connection was down are lost."""
    async with server() as running:
        address = parse_redis_url(f"redis://127.0.0.1:{running.port}")
        async with _news(f"redis://127.0.0.1:{running.port}") as (news, tasks):
            heard, everybody = asyncio.Queue[Event](), asyncio.Queue[Event]()
            hearing = EventListener(address, _KEYS, tasks, on_broadcast=everybody.put_nowait)
            link = RedisLink(address, tasks)
            async with asyncio.timeout(30), hearing.subscribed("a", heard.put_nowait):
                await news.publish(Event(RESOURCES, "b"))
                await news.publish(Event(RESOURCES, "a"))
                first = await heard.get()
                await link.call("CLIENT", "KILL", "TYPE", "pubsub")
                second = await heard.get()
                await news.publish(Event("x", ""))
                to_all = await everybody.get()
            await hearing.close()
            await link.close()

    assert (first, second, to_all) == (Event(RESOURCES, "a"), Event(RESYNC, "a"), Event("x", ""))
    assert heard.empty()
