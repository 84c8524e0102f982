"""Downloads by the kernel: whole and in part, by many at once, and clients that leave in the middle."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import uvloop

from tests.fixtures.gateway import Backing, Client, connected, entry, producer
from tests.fixtures.upstreams import ScriptedUpstream, scripted, writes

_BYTES = hashlib.shake_256(b"download").digest(8 * 1024 * 1024) * 4
_CORE = {"allow_artifacts_download": True}


async def _link(client: Client, upstream: ScriptedUpstream, content: bytes = _BYTES) -> str:
    upstream.behaviours["tools/call"] = writes(content)
    url: str = (await client.call("write", {"path": "large.bin"}))["_meta"]["artifact"]["download_url"]
    return url


@pytest.fixture
async def client(shared_backing: Backing, upstream: ScriptedUpstream) -> AsyncIterator[Client]:
    async with connected(shared_backing.config(entry(upstream.url, producer("write")), core=_CORE)) as found:
        yield found


async def _digests(client: Client, url: str) -> set[str]:
    async def digest() -> str:
        async with client.http.get(url) as answer:
            assert answer.content_length == len(_BYTES)
            return hashlib.sha256(await answer.read()).hexdigest()

    return set(await asyncio.gather(*(digest() for _ in range(8))))


async def test_many_at_once_get_every_byte(client: Client, upstream: ScriptedUpstream) -> None:
    assert await _digests(client, await _link(client, upstream)) == {hashlib.sha256(_BYTES).hexdigest()}


def test_many_at_once_get_every_byte_on_the_loop_of_the_gateway(shared_backing: Backing) -> None:
    async def digests() -> set[str]:
        async with scripted("write") as upstream:
            config = shared_backing.config(entry(upstream.url, producer("write")), core=_CORE)
            async with connected(config) as client:
                return await _digests(client, await _link(client, upstream))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(digests()) == {hashlib.sha256(_BYTES).hexdigest()}


async def test_ranges_and_other_answers_share_a_connection(client: Client, upstream: ScriptedUpstream) -> None:
    url = await _link(client, upstream)
    got = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        for first, last in ((0, 0), (1, 5_000_000), (len(_BYTES) - 3, len(_BYTES) - 1)):
            async with http.get(url, headers={"Range": f"bytes={first}-{last}"}) as answer:
                got.append((answer.status, await answer.read() == _BYTES[first:last + 1]))
            async with http.get(client.base + "/healthz") as health:
                got.append((health.status, bool(await health.read())))

    assert got == [(206, True), (200, True)] * 3


async def test_an_empty_file_is_sent(client: Client, upstream: ScriptedUpstream) -> None:
    url = await _link(client, upstream, b"")
    async with client.http.get(url) as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_a_client_that_leaves_costs_no_descriptor(client: Client, upstream: ScriptedUpstream) -> None:
    url = await _link(client, upstream)
    parts = urlsplit(url)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        await reader.readexactly(100_000)
        writer.transport.abort()

    async with asyncio.timeout(10):
        while len(list(Path("/proc/self/fd").iterdir())) > before:
            await asyncio.sleep(0.01)
    async with client.http.get(url) as answer:
        assert len(await answer.read()) == len(_BYTES)


async def test_a_file_that_shrinks_cuts_the_answer(
    shared_backing: Backing, client: Client, upstream: ScriptedUpstream
) -> None:
    url = await _link(client, upstream)
    (path,) = (shared_backing.root / "artifacts" / "sessions" / client.session_id).rglob("large.bin")
    with path.open("r+b") as file:
        file.truncate(1_000_000)

    async with client.http.get(url) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
