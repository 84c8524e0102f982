"""A while of what a deployment does: files in and out, calls that succeed and fail, clients that come and go."""

import asyncio
import math
from functools import partial

from longshore.shared.clock import monotonic_s
from tests.fixtures.gateway import Client
from tests.fixtures.measured import Measured
from tests.fixtures.upstreams import Reply, Seen, result, writes

_AT_ONCE = 3


async def work(world: Measured, *, seconds: float) -> None:
    """Several clients at work until the time is over, more of them in the middle than at the ends."""
    world.upstream.behaviours["tools/call"] = _answer
    until_s = monotonic_s() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(_AT_ONCE):
            group.create_task(_client(world, number, until_s, seconds))


async def _answer(seen: Seen) -> Reply:
    if seen.params["name"] == "write":
        return await writes(b"%PDF-1.7\n" + b"cargo " * 4000)(seen)
    await asyncio.sleep(0.02 if seen.params["name"] == "read" else 0.005)
    return result(seen, {"content": [{"type": "text", "text": "done"}]})


async def _client(world: Measured, number: int, until_s: float, seconds: float) -> None:
    turn = 0
    while (left_s := until_s - monotonic_s()) > 0:
        client = Client(world.client.http, world.client.base, world.client.mount)
        await client.initialize()
        for act in (partial(_file_in, client), partial(_file_out, client), partial(_wrong, client, turn)):
            await act()
            await asyncio.sleep(0.1 + 0.25 * (1 - math.sin(math.pi * left_s / seconds)) * (number + 1))
        turn += 1
        if turn % 2:
            await client.delete()


async def _file_in(client: Client) -> None:
    handle = await client.upload_one("notes.txt", b"some notes " * 3000)
    for _ in range(3):
        await client.call("read", {"path": handle})
        await client.call("echo")


async def _file_out(client: Client) -> None:
    said = await client.call("write", {"path": "out.pdf"})
    async with client.http.get(said["_meta"]["artifact"]["download_url"]) as answer:
        await answer.read()


async def _wrong(client: Client, turn: int) -> None:
    """Mistakes of callers, one per turn."""
    if turn % 3 == 0:
        await client.post(b"{not json")
    elif turn % 3 == 1:
        await client.upload(f"{client.base}/upload/files?scope=x&nonce=y&exp=1&sig=z", ("a.txt", b"a"))
    else:
        await client.request("tools/call", {"name": "read", "arguments": {"path": "upload://sessions/x/y"}})
