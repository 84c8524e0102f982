"""Any gateway serves any session, and the death of one is nobody's business."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e import wire
from tests.e2e.stack import Gateway, Stack, server, stack
from tests.fixtures.node import everything


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Stack]:
    """A worker before `server-everything`; each test starts its gateways."""
    async with everything(tmp_path) as upstream:
        with stack(tmp_path, [server("everything", upstream.url)]) as made:
            made.start_worker()
            yield made


async def _pair(deployment: Stack) -> tuple[Gateway, Gateway]:
    return await asyncio.gather(deployment.start_gateway(), deployment.start_gateway())


def _echo(result: dict[str, Any]) -> str:
    text: str = result["content"][0]["text"]
    return text


async def test_two_gateways_serve_one_session_in_turn(deployment: Stack) -> None:
    """Opened at one, the session's very first request goes to the other, and so on by turns."""
    mounts = [gateway.mount("everything") for gateway in await _pair(deployment)]
    async with aiohttp.ClientSession() as http:
        session = await wire.open_session(http, mounts[0])

        said = [_echo(await session.tool(mounts[(n + 1) % 2], "echo", n, message=str(n))) for n in range(20)]
        ended = await session.end(mounts[1])
        gone = [await _status_after_end(http, session, mount) for mount in mounts]

    assert said == [f"Echo: {n}" for n in range(20)]
    assert ended in (200, 204)
    assert gone == [404, 404]


async def test_killing_a_gateway_between_two_calls_goes_unnoticed(deployment: Stack) -> None:
    """State of the upstream session that the first gateway's calls left is there for the second one's."""
    first, second = await _pair(deployment)
    data = f"data:text/plain;base64,{base64.b64encode(b'the manifest').decode()}"
    async with aiohttp.ClientSession() as http:
        session = await wire.open_session(http, first.mount("everything"))
        gzip = {"name": "gzip-file-as-resource", "arguments": {"name": "manifest.gz", "data": data}}
        await session.call(first.mount("everything"), "tools/call", 1, **gzip)

        first.process.kill()
        said = await session.tool(second.mount("everything"), "echo", 2, message="still here")
        read = await session.call(
            second.mount("everything"), "resources/read", 3, uri="demo://resource/session/manifest.gz"
        )

    assert _echo(said) == "Echo: still here"
    assert read["result"]["contents"][0]["mimeType"] == "application/gzip"


async def test_calls_under_way_at_the_other_gateway_survive_a_kill(deployment: Stack) -> None:
    """SIGKILL of one gateway does not touch what the other one has open for the same session."""
    first, second = await _pair(deployment)
    async with aiohttp.ClientSession() as http:
        session = await wire.open_session(http, first.mount("everything"))
        slow = asyncio.gather(
            session.tool(second.mount("everything"), "trigger-long-running-operation", 1, duration=1.5, steps=3)
        )
        await session.tool(first.mount("everything"), "echo", 2, message="before")

        first.process.kill()
        [done] = await slow

    assert _echo(done).startswith("Long running operation completed")


async def test_a_link_from_one_gateway_is_good_at_the_other(tmp_path: Path) -> None:
    """Upload link made by one, redeemed at the other, handle used at the first again after a worker's death."""
    adapter = {"type": "upload_consumer", "tools": ["echo"], "file_path_argument": "message"}
    async with everything(tmp_path) as upstream:
        with stack(tmp_path, [server("everything", upstream.url, adapter)]) as made:
            worker = made.start_worker()
            first, second = await _pair(made)
            made.start_worker()
            worker.kill()
            async with aiohttp.ClientSession() as http:
                session = await wire.open_session(http, first.mount("everything"))
                ticket = (await session.tool(first.mount("everything"), "everything_get_upload_url", 1))[
                    "structuredContent"
                ]
                address = ticket["upload_url"].replace(first.base, second.base)
                form = aiohttp.FormData()
                form.add_field("file", b"cargo", filename="cargo.bin")
                async with http.post(address, data=form, headers=ticket["headers"]) as answer:
                    status, done = answer.status, await answer.json()
                said = _echo(await session.tool(first.mount("everything"), "echo", 2, message=done["upload_handle"]))

            path = Path(said.removeprefix("Echo: "))
            assert status == 200
            assert done["upload"]["sha256"] == hashlib.sha256(b"cargo").hexdigest()
            assert path.is_relative_to(made.root / "uploads" / "sessions")
            assert path.read_bytes() == b"cargo"


async def _status_after_end(http: aiohttp.ClientSession, session: wire.Session, mount: str) -> int:
    message = {"jsonrpc": "2.0", "id": 99, "method": "tools/list"}
    async with wire.post(http, mount, message, session.headers) as answer:
        return answer.status
