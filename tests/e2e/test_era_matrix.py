"""Every official client with servers of every era, feature by feature, through two gateways that take turns."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.stack import server, stack
from tests.fixtures.balancer import round_robin
from tests.fixtures.everything_server import Era, everything_server
from tests.fixtures.node import PLAYWRIGHT
from tests.fixtures.processes import REPOSITORY, run

pytestmark = pytest.mark.timeout(240)        # the first cell waits for them all

_PYTHON = (Path(__file__).with_name("sdk") / "features.py",)
_NODE = REPOSITORY / "tests" / "node" / "clients"
_Argv = tuple[str | Path, ...]
_CLIENTS: dict[str, tuple[_Argv, _Argv]] = {
    "python 2, auto": ((sys.executable, "-W", "ignore", *_PYTHON), ("auto",)),
    "python 2, legacy": ((sys.executable, "-W", "ignore", *_PYTHON), ("legacy",)),
    "python 2, pinned": ((sys.executable, "-W", "ignore", *_PYTHON), ("2026-07-28",)),
    "python 1": ((REPOSITORY / ".venv-mcp1" / "bin" / "python", "-W", "ignore", *_PYTHON), ("legacy",)),
    "typescript 2, auto": ((PLAYWRIGHT[0], _NODE / "features2.mjs"), ("auto",)),
    "typescript 2, legacy": ((PLAYWRIGHT[0], _NODE / "features2.mjs"), ("legacy",)),
    "typescript 1": ((PLAYWRIGHT[0], _NODE / "features1.mjs"), ()),
}
_SERVERS: tuple[Era, ...] = ("legacy", "modern", "dual")
FEATURES = (
    "tools", "progress", "resources", "subscription", "prompts", "elicitation", "sampling", "cancellation",
    "list-changed",
)
_AT_ONCE = 4
_Reports = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> _Reports:
    """Reports of each client on each server."""
    return asyncio.run(_all(tmp_path_factory.mktemp("matrix")))


async def _all(folder: Path) -> _Reports:
    async with AsyncExitStack() as running:
        urls = {era: await running.enter_async_context(everything_server(folder, era)) for era in _SERVERS}
        made = running.enter_context(stack(folder, [server(era, url) for era, url in urls.items()]))
        made.start_worker()
        gateways = await asyncio.gather(made.start_gateway(), made.start_gateway())
        ports = [int(gateway.base.rpartition(":")[2]) for gateway in gateways]
        balancer = await running.enter_async_context(round_robin(ports))
        places = asyncio.Semaphore(_AT_ONCE)
        found: _Reports = {}

        async def one(client: str, era: Era) -> None:
            async with places:
                found[client, era] = await _report(client, f"{balancer.base}/mcp/{era}", folder)

        await asyncio.gather(*(one(client, era) for client in _CLIENTS for era in _SERVERS))
    return found


async def _report(client: str, url: str, folder: Path) -> dict[str, Any]:
    before, after = _CLIENTS[client]
    with run([*before, url, *after], folder=folder) as process:
        await asyncio.to_thread(process.wait, within_s=200)
        lines = process.output().splitlines()
    try:
        report: dict[str, Any] = msgspec.json.decode(lines[-1])
    except (msgspec.DecodeError, IndexError):
        return {"died": "\n".join(lines[-20:])}
    return report


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("era", _SERVERS)
@pytest.mark.parametrize("client", _CLIENTS)
def test_a_feature_works_whatever_the_eras(reports: _Reports, client: str, era: str, feature: str) -> None:
    report = reports[client, era]

    assert report.get(feature) is True, report


@pytest.mark.parametrize("client", _CLIENTS)
def test_a_client_that_can_speaks_the_modern_revision(reports: _Reports, client: str) -> None:
    """With every server, those of the legacy revisions included."""
    spoken = {era: reports[client, era].get("modern") for era in _SERVERS}

    assert spoken == dict.fromkeys(_SERVERS, "auto" in client or "pinned" in client)
