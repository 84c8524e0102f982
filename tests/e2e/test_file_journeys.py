"""Every way of a file to a tool, through the processes as shipped: the upstream sees what was sent, bit by bit.

A page as the upstream's upstream, by Playwright, is in `test_playwright.py`.
"""

import hashlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from mcp.client.client import Client, ConnectMode

from tests.e2e import file_transfer, ways_in
from tests.e2e.stack import Gateway, Stack, server, stack
from tests.e2e.ways_in import Journey
from tests.fixtures.processes import free_port, run, until_listening

_SERVER = Path(__file__).with_name("files_server.py")
_MIB = 1024 * 1024
_ADAPTERS = [
    {"type": "upload_consumer", "tools": ["digest"], "file_path_argument": "path"},
    {"type": "upload_consumer", "tools": ["copy"], "file_path_argument": "source"},
    {"type": "artifact_producer", "tools": ["copy"], "output_path_argument": "target"},
]
_WAYS: list[tuple[Callable[[Journey], Awaitable[str]], int]] = [
    (ways_in.curl_form, 3 * _MIB),
    (ways_in.curl_put, 3 * _MIB),
    (ways_in.page_with_script, 200_000),
    (ways_in.page_without_script, 200_000),
    (ways_in.page_cut, 6_000_000),
    (ways_in.tus_client, 9 * _MIB),
    (ways_in.data_uri, 100_000),
    (ways_in.announced, 3 * _MIB),
    (ways_in.tool_to_tool, 3 * _MIB),
]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Stack, list[Gateway]]]:
    """One worker, two gateways, and a server of the official SDK's behind them."""
    folder, port = tmp_path_factory.mktemp("journeys"), free_port()
    async with AsyncExitStack() as running:
        upstream = running.enter_context(run([sys.executable, _SERVER, str(port)], folder=folder))
        await until_listening(upstream, port)
        servers = [server("files", f"http://127.0.0.1:{port}/mcp", *_ADAPTERS)]
        core, files = {"allow_artifacts_download": True}, {"sep_2631": True}
        made = running.enter_context(stack(folder, servers, core=core, files=files))
        made.start_worker()
        yield made, [await made.start_gateway() for _ in range(2)]


@pytest.mark.parametrize(("way", "size"), [pytest.param(*case, id=case[0].__name__) for case in _WAYS])
async def test_a_file_gets_to_a_tool_as_it_was(
    deployed: tuple[Stack, list[Gateway]], tmp_path: Path, way: Callable[[Journey], Awaitable[str]], size: int
) -> None:
    path, content = tmp_path / "phöto & <b>.bin", os.urandom(size)
    path.write_bytes(content)
    made, (near, _) = deployed
    async with Client(near.mount("files"), mode="legacy") as client:
        journey = Journey(made, near, client, path)

        seen = await journey.call("digest", path=await way(journey))

    assert ways_in.text(seen) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_file_goes_out_as_it_came_in(
    deployed: tuple[Stack, list[Gateway]], tmp_path: Path, mode: ConnectMode
) -> None:
    """Announced, sent, copied by a tool and fetched, with the digest known at each step."""
    made, (near, _) = deployed
    path, content = tmp_path / "in.bin", os.urandom(2 * _MIB)
    path.write_bytes(content)
    async with Client(near.mount("files"), mode=mode) as client:
        journey = Journey(made, near, client, path)
        copied = await journey.call("copy", source=await ways_in.announced(journey), target="out.bin")
        assert copied.meta is not None
        file, came = await file_transfer.fetched(client, copied.meta["artifact"]["artifact_uri"])

    assert came == content
    assert (file["name"], file["size"]) == ("out.bin", len(content))
    assert file["digest"]["value"] == file_transfer.digest_value(content)
