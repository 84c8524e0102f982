"""A thousand requests, most of which go wrong, leave no connection, task or file behind."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable

from longshore.gateway.upstream.client import UpstreamClient
from longshore.shared.config import Server, Upstream
from longshore.shared.errors import LongshoreError
from tests.fixtures.raw_server import RawConnection, RawServer, raw_server

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_REQUESTS = 1_000
_AT_ONCE = 40


async def _moody(connection: RawConnection) -> None:
    """Mostly responds correctly; else cuts off, drips, hangs, or sends invalid or unsolicited bytes."""
    mood = random.Random(len(connection.requests))
    while await connection.request() is not None:
        match mood.randrange(12):
            case 0:
                return
            case 1:
                await connection.say(_OK[:-1])
                return
            case 2:
                await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz")
            case 3:
                await connection.until_closed()
            case 4:
                await connection.say(_OK + b"surplus")
            case 5:
                for byte in _OK:
                    await connection.say(bytes([byte]))
            case _:
                await connection.say(_OK)


async def test_nothing_is_left_behind() -> None:
    async with raw_server(_moody) as server:
        client = UpstreamClient(Server(id="raw", mount_path="/raw", upstream=Upstream(url=server.url)))
        tasks_before, files_before = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
        fate = random.Random(7)
        outcomes: dict[str, int] = {}
        for _ in range(_REQUESTS // _AT_ONCE):
            for outcome in await asyncio.gather(*(_one(client, fate) for _ in range(_AT_ONCE))):
                outcomes[outcome] = outcomes.get(outcome, 0) + 1

        await client.close()
        await server.until_open(0)

        assert {"read", "left", "given up", "failed"} <= outcomes.keys(), outcomes
        async with asyncio.timeout(20):
            while len(asyncio.all_tasks()) > tasks_before:
                await asyncio.sleep(0.005)
        assert len(os.listdir("/proc/self/fd")) <= files_before    # an earlier test's may have been collected meanwhile
        await _every_place_is_free(client, server)


async def _one(client: UpstreamClient, fate: random.Random) -> str:
    method, way = fate.choice(["POST", "POST", "GET", "DELETE"]), fate.choice(_WAYS)
    try:
        async with asyncio.timeout(fate.choice([0.002, 0.02, 5.0])):
            return await way(client, method)
    except TimeoutError:
        return "given up"
    except LongshoreError:
        return "failed"


async def _read(client: UpstreamClient, method: str) -> str:
    return await _read_within(client, method, 0.3)


async def _read_within(client: UpstreamClient, method: str, within_s: float) -> str:
    async with client.exchange(method, {}, b"{}", timeout_s=within_s) as answer:
        await answer.read()
    return "read"


async def _leave(client: UpstreamClient, method: str) -> str:
    async with client.exchange(method, {}, b"{}", timeout_s=0.3):
        return "left"


_WAYS: list[Callable[[UpstreamClient, str], Awaitable[str]]] = [_read, _leave]


async def _every_place_is_free(used: UpstreamClient, server: RawServer) -> None:
    """More requests than the 256 slots of the pool succeed one after the other without waiting."""
    for _ in range(300):
        async with asyncio.timeout(20):
            try:
                async with used.exchange("POST", {}, b"{}"):
                    raise AssertionError("the client is closed")
            except LongshoreError as err:
                assert "shutting down" in str(err)


async def test_idle_connections_are_given_up_before_servers_do() -> None:
    """Node and uvicorn close after five idle seconds; a shorter `Keep-Alive` timeout is respected."""
    told = _OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=2\r\n\r\n")

    async def keep_alive(connection: RawConnection) -> None:
        while await connection.request() is not None:
            await connection.say(told)

    async with raw_server(keep_alive) as server:
        client = UpstreamClient(Server(id="raw", mount_path="/raw", upstream=Upstream(url=server.url)))
        assert await asyncio.gather(*(_read_within(client, "POST", 10) for _ in range(100))) == ["read"] * 100
        await server.until_open(64)

        await server.until_open(0)
        await client.close()
