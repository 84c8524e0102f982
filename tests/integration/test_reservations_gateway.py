"""Reservations of storage while bodies are received, as clients see them, and after their gateway is killed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from longshore.shared.config import Config
from longshore.shared.keys import Keys
from tests.fixtures.gateway import Backing, Client, backing, connected, consumer, entry
from tests.fixtures.processes import LONGSHORE, free_port, run, until_listening
from tests.fixtures.upstreams import ScriptedUpstream

_UNIT = 100 * 1024
_LIMITS: dict[str, dict[str, Any]] = {
    "sessions": {"max_total_session_size": "400Ki"}, "storage": {"max_size": "600Ki"}, "uploads": {"ttl_seconds": 600},
}


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Backing]:
    with backing(tmp_path, **_LIMITS) as made:
        yield made


def _config(made: Backing, upstream: ScriptedUpstream, **core: Any) -> Config:
    return made.config(entry(upstream.url, consumer("read")), core=core, **_LIMITS)


@asynccontextmanager
async def _sending(url: str, made: Backing, *, size_bytes: int) -> AsyncIterator[asyncio.StreamWriter]:
    """Upload of one file whose head was accepted and whose body is not sent."""
    base, _, target = url.removeprefix("http://").partition("/")
    host, port = base.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = [
        f"POST /{target} HTTP/1.1", f"Host: {base}", "Content-Type: multipart/form-data; boundary=b",
        f"Content-Length: {size_bytes + 16 * 1024}", "Expect: 100-continue",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode())
    try:
        async with asyncio.timeout(10):
            assert b" 100 " in await reader.readline()
        assert len(await _reserved(made)) == 1
        yield writer
    finally:
        writer.close()


async def _reserved(made: Backing) -> dict[bytes, float]:
    async with Redis.from_url(made.redis_url) as redis:
        return dict(await redis.zrange(Keys("longshore").reserved_total(), 0, -1, withscores=True))


async def _until_taken(client: Client, size_bytes: int) -> None:
    async with asyncio.timeout(10):
        url = await client.upload_url()
        while (await client.upload(url, ("late.bin", b"x" * size_bytes))).status != 200:
            await asyncio.sleep(0.05)


async def test_of_two_uploads_that_exceed_the_quota_together_one_is_refused(
    limited: Backing, upstream: ScriptedUpstream
) -> None:
    """The second is refused on its head alone; its link works once the first has ended."""
    async with connected(_config(limited, upstream)) as client:
        async with _sending(await client.upload_url(), limited, size_bytes=3 * _UNIT):
            second = await client.upload_url()
            base, _, target = second.removeprefix("http://").partition("/")
            reader, writer = await asyncio.open_connection(*base.split(":"))
            head = f"PUT /{target} HTTP/1.1\r\nHost: {base}\r\nContent-Length: {2 * _UNIT}\r\n\r\n"
            writer.write(head.encode())
            async with asyncio.timeout(10):
                status = await reader.readline()
            writer.close()
            refused = await client.upload(second, ("second.bin", b"2" * (2 * _UNIT)))
            beside = await client.upload(second, ("small.bin", b"3" * _UNIT))

        await _until_taken(client, 4 * _UNIT)

        assert b" 507 " in status
        assert (refused.status, refused.reason) == (507, "over_quota")
        assert beside.status == 200
        assert await _reserved(limited) == {}


async def test_sessions_share_the_storage_budget(limited: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(_config(limited, upstream)) as client:
        other = Client(client.http, client.base, client.mount)
        await other.initialize()
        async with _sending(await client.upload_url(), limited, size_bytes=4 * _UNIT):
            refused = await other.upload(await other.upload_url(), ("a.bin", b"1" * (3 * _UNIT)))
            taken = await other.upload(await other.upload_url(), ("a.bin", b"1" * (2 * _UNIT - 1024)))

    assert (refused.status, refused.reason) == (507, "over_quota")
    assert taken.status == 200


async def test_reservations_of_a_killed_gateway_expire(limited: Backing, upstream: ScriptedUpstream) -> None:
    """Killed in the middle of an upload: its reservation expires with the rest of its lease of one minute."""
    async with connected(_config(limited, upstream)) as client:
        dying = _config(limited, upstream, port=free_port())
        argv = [*LONGSHORE, "gateway", "--config", str(limited.folder / "config.yaml")]
        with run(argv, folder=limited.folder) as process:
            await until_listening(process, dying.core.port)
            url = (await client.upload_url()).replace(client.base, f"http://127.0.0.1:{dying.core.port}")
            async with _sending(url, limited, size_bytes=3 * _UNIT):
                process.kill()
                refused = await client.upload(await client.upload_url(), ("a.bin", b"1" * (2 * _UNIT)))
                held = await _reserved(limited)
        async with Redis.from_url(limited.redis_url) as redis:
            seconds, _ = await redis.time()
            for key in await redis.keys(f"{Keys('longshore').reserved('')[:-1]}*"):
                for member in held:
                    await redis.zincrby(key, -59_000, member)  # the minute but a second

        await _until_taken(client, 4 * _UNIT)

    assert (refused.status, refused.reason) == (507, "over_quota")
    assert [score - seconds * 1000 < 62_000 for score in held.values()] == [True]
