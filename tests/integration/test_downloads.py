"""Downloads by sendfile: whole files and ranges, many at once, and clients that disconnect in the middle."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import uvloop
from aiohttp import web

from longshore.gateway.app import public_runner
from longshore.gateway.appkeys import BLOBS
from longshore.gateway.http.downloads import sendfile
from longshore.gateway.http.downloads.ranges import ByteRange
from longshore.gateway.request_context import ResponseCutOff
from longshore.shared.metrics import Metrics
from tests.fixtures.certificates import self_signed
from tests.fixtures.gateway import Backing, Client, connected, entry, producer
from tests.fixtures.storage import opened_blobs
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


async def test_concurrent_downloads_receive_every_byte(client: Client, upstream: ScriptedUpstream) -> None:
    assert await _digests(client, await _link(client, upstream)) == {hashlib.sha256(_BYTES).hexdigest()}


def test_concurrent_downloads_receive_every_byte_under_uvloop(shared_backing: Backing) -> None:
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


async def test_a_client_that_disconnects_leaves_no_open_descriptor(client: Client, upstream: ScriptedUpstream) -> None:
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


async def test_a_truncated_file_cuts_the_response_off(
    shared_backing: Backing, client: Client, upstream: ScriptedUpstream
) -> None:
    url = await _link(client, upstream)
    (path,) = (shared_backing.root / "artifacts" / "sessions" / client.session_id).rglob("large.bin")
    with path.open("r+b") as file:
        file.truncate(1_000_000)

    async with client.http.get(url) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@asynccontextmanager
async def _sending(content: Path, *, timeout_s: float) -> AsyncIterator[tuple[web.AppRunner, asyncio.Future[str]]]:
    """Server that sends the file by sendfile, and the end of its one response."""
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handler(request: web.Request) -> web.StreamResponse:
        size_bytes = content.stat().st_size
        response = web.StreamResponse()
        response.content_length = size_bytes
        await response.prepare(request)
        to = await sendfile.sendfile_socket(request)
        assert to is not None
        with content.open("rb") as file:
            try:
                await sendfile.send(request, file.fileno(), ByteRange(0, size_bytes, False), to, timeout_s=timeout_s)
            except ResponseCutOff:
                ended.set_result("cut off")
                raise
        ended.set_result("sent")
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    async with opened_blobs(content.parent / "blobs") as app[BLOBS]:
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield runner, ended
        finally:
            await runner.cleanup()


async def test_a_client_that_reads_nothing_is_disconnected_and_one_that_reads_on_is_not(tmp_path: Path) -> None:
    """The file is far larger than the buffers of both sockets: the sender has to wait for the client."""
    content = tmp_path / "large"
    content.write_bytes(_BYTES * 2)
    for timeout_s, goes_on in ((0.3, False), (30.0, True)):
        async with _sending(content, timeout_s=timeout_s) as (runner, ended):
            host, port = runner.addresses[0][:2]
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            if goes_on:
                assert hashlib.sha256(await reader.read()).digest() == hashlib.sha256(_BYTES * 2).digest()
            async with asyncio.timeout(20):
                how = await ended
            writer.close()

        assert how == ("sent" if goes_on else "cut off")


@pytest.fixture
async def secure(
    shared_backing: Backing, upstream: ScriptedUpstream, tmp_path: Path
) -> AsyncIterator[tuple[Client, str]]:
    """Client and link over TLS, where sendfile cannot be used."""
    made = self_signed(tmp_path)
    runner = public_runner(shared_backing.config(entry(upstream.url, producer("write")), core=_CORE), Metrics())
    await runner.setup()
    trusting = ssl.create_default_context(cafile=made.file)
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=made.server()).start()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as http:
            client = Client(http, f"https://127.0.0.1:{runner.addresses[0][1]}", "/mcp/files")
            await client.initialize()
            link = urlsplit(await _link(client, upstream))
            yield client, f"{client.base}{link.path}?{link.query}"
    finally:
        await runner.cleanup()


async def test_a_download_over_tls_receives_every_byte(secure: tuple[Client, str]) -> None:
    client, url = secure
    async with client.http.get(url) as whole, client.http.get(url, headers={"Range": "bytes=5000000-"}) as end:
        assert hashlib.sha256(await whole.read()).digest() == hashlib.sha256(_BYTES).digest()
        assert (end.status, await end.read() == _BYTES[5_000_000:]) == (206, True)
    async with client.http.head(url) as head:
        assert (head.content_length, await head.read()) == (len(_BYTES), b"")


async def test_a_truncated_file_cuts_a_response_over_tls_off(
    shared_backing: Backing, secure: tuple[Client, str]
) -> None:
    client, url = secure
    (path,) = (shared_backing.root / "artifacts" / "sessions" / client.session_id).rglob("large.bin")
    with path.open("r+b") as file:
        file.truncate(1_000_000)

    async with client.http.get(url) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
