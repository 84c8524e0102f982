"""The official clients through two gateways behind a balancer that sends each request to the next one.

Whatever a client can do with a server it can do there, and what dies with a gateway is what was under way in it.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.e2e import wire
from tests.e2e.stack import Gateway, Stack, server, stack
from tests.fixtures.balancer import Balancer, round_robin
from tests.fixtures.everything_server import everything_server
from tests.fixtures.node import PLAYWRIGHT, everything
from tests.fixtures.processes import REPOSITORY, run

_NODE_CLIENTS = REPOSITORY / "tests" / "node" / "clients"
_PYTHON_CLIENTS = Path(__file__).with_name("sdk")
_PYTHONS = {
    "python 2": Path(sys.executable),
    "python 1": REPOSITORY / ".venv-mcp1" / "bin" / "python",
}
CLIENTS = ("typescript 1", *_PYTHONS)
_KILLS = 8
_BETWEEN_KILLS_S = 0.6


@dataclass
class Deployment:
    """Two gateways, the balancer before them and two servers behind them."""

    stack: Stack
    gateways: list[Gateway]
    balancer: Balancer
    direct: dict[str, str]       # addresses of the servers, by name

    def through(self, name: str) -> str:
        return f"{self.balancer.base}/mcp/{name}"


@asynccontextmanager
async def deployment(folder: Path) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as running:
        fixture = await running.enter_async_context(everything_server(folder))
        foreign = await running.enter_async_context(everything(folder))
        direct = {"fixture": fixture, "everything": foreign.url}
        made = running.enter_context(stack(folder, [server(name, url) for name, url in direct.items()]))
        made.start_worker()
        gateways = list(await asyncio.gather(made.start_gateway(), made.start_gateway()))
        balancer = await running.enter_async_context(round_robin([_port(gateway) for gateway in gateways]))
        yield Deployment(made, gateways, balancer, direct)


@pytest.fixture
async def deployed(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployment(tmp_path) as made:
        yield made


def _port(gateway: Gateway) -> int:
    return int(gateway.base.rpartition(":")[2])


async def _report(client: str, script: str, arguments: Sequence[str | Path], folder: Path) -> dict[str, Any]:
    """Report of a client's script."""
    if client in _PYTHONS:
        argv: list[str | Path] = [_PYTHONS[client], "-W", "ignore", _PYTHON_CLIENTS / f"{script}.py"]
    else:
        argv = [PLAYWRIGHT[0], _NODE_CLIENTS / f"{script}.mjs"]
    with run([*argv, *arguments], folder=folder) as process:
        status = await asyncio.to_thread(process.wait, within_s=50)
        output = process.output()
    assert status == 0, f"{client}: {output}"
    report: dict[str, Any] = msgspec.json.decode(output.splitlines()[-1])
    return report


async def test_every_feature_of_every_client_works_whichever_gateway_a_request_reaches(
    deployed: Deployment, tmp_path: Path
) -> None:
    """Tools, progress, cancellation, logging, sampling, elicitation, roots, resumption, lists by pages, resources,
    prompts, completion, subscriptions, announcements and DELETE: as directly, and as they should be."""
    tours = [(client, name) for client in CLIENTS for name in deployed.direct]
    through = await asyncio.gather(
        *(_report(client, "tour", (deployed.through(name), name), tmp_path) for client, name in tours)
    )
    direct = await asyncio.gather(
        *(_report(client, "tour", (deployed.direct[name], name), tmp_path) for client, name in tours)
    )

    for tour, seen, expected in zip(tours, through, direct, strict=True):
        assert seen.pop("ended") == 404, tour
        expected.pop("ended")    # not every server keeps to it
        assert seen == expected, tour
        assert seen.get("retried", []) == []
    for report in through[0::2]:
        _check_fixture_tour(report)
    assert min(deployed.balancer.served.values()) > 100


def _check_fixture_tour(report: dict[str, Any]) -> None:
    assert report["progress"]["steps"] == [[0, 100], [50, 100], [100, 100]]
    assert report["logs"] == ["Tool execution started", "Tool processing data", "Tool execution completed"]
    said = {
        name: report[name]["content"][0]["text"]
        for name in ("sampled", "elicited", "elicitedUrl", "roots", "resumed")
    }
    assert said == {
        "sampled": "LLM response: sampled: name a port",
        "elicited": "Elicitation completed: action=decline, content=None",
        "elicitedUrl": "Elicitation completed: action=accept",
        "roots": "Roots: ['file:///harbour']",
        "resumed": "reconnected",
    }
    assert [len(page) for page in report["resources"]] == [2, 1]
    assert [len(page) for page in report["prompts"]] == [2, 2, 1]
    assert sorted(report["changes"]) == [
        "notifications/prompts/list_changed", "notifications/resources/list_changed",
        "notifications/tools/list_changed", "test://watched-resource",
    ]


@pytest.mark.timeout(120)
async def test_a_gateway_that_is_killed_loses_what_was_under_way_in_it_and_nothing_else(
    deployed: Deployment, tmp_path: Path
) -> None:
    """Three clients call all the while; each call that fails succeeds when it is made once more in the same session."""
    enough = tmp_path / "enough"
    calling = asyncio.gather(
        *(_report(client, "loop", (deployed.through("fixture"), enough), tmp_path) for client in CLIENTS)
    )
    try:
        async with asyncio.timeout(20):
            while sum(deployed.balancer.served.values()) < 30:
                await asyncio.sleep(0.05)
        lost = [await _kill(deployed, number % 2) for number in range(_KILLS)]
    finally:
        enough.touch()
    reports = dict(zip(CLIENTS, await calling, strict=True))

    assert {client: report["lost"] for client, report in reports.items()} == {client: [] for client in CLIENTS}
    assert min(report["calls"] for report in reports.values()) > 100
    failed = [failure for report in reports.values() for failure in report["retried"]]
    assert len(failed) <= sum(lost), failed


async def _kill(deployed: Deployment, which: int) -> int:
    """Kill one gateway and start another in its place. How many POSTs were under way in it."""
    await asyncio.sleep(_BETWEEN_KILLS_S)
    killed = deployed.gateways[which]
    killed.process.kill()
    lost = deployed.balancer.posting[_port(killed)]
    started = deployed.gateways[which] = await deployed.stack.start_gateway()
    deployed.balancer.ports[which] = _port(started)
    return lost


async def test_what_a_server_asks_at_one_gateway_is_answered_at_the_other(deployed: Deployment) -> None:
    """On the stream of a call, and on the standing stream, which neither the answer nor the next call touches."""
    first, second = (gateway.mount("everything") for gateway in deployed.gateways)
    roots = {"roots": [{"uri": "file:///harbour", "name": "harbour"}]}
    async with aiohttp.ClientSession() as http, asyncio.timeout(20):
        session = await wire.open_session(http, first, capabilities={"roots": {}, "elicitation": {"form": {}}})
        listen = {**session.headers, "Accept": "text/event-stream"}
        async with http.get(first, headers=listen) as standing:
            asked = await _message(standing, "roots/list")
            await _answer(http, second, session, asked, roots)
            told = await _message(standing, "notifications/message")
        known = await session.tool(second, "get-roots-list", 1)
        call = {"name": "trigger-elicitation-request", "arguments": {}}
        request = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}
        async with wire.post(http, first, request, session.headers) as stream:
            asked = await _message(stream, "elicitation/create")
            await _answer(http, second, session, asked, {"action": "cancel"})
            result = await _message(stream, None)

    assert told["params"]["data"].startswith("Roots updated: 1 root(s)")
    assert "file:///harbour" in known["content"][0]["text"]
    assert "cancel" in result["result"]["content"][0]["text"]


async def _answer(
    http: aiohttp.ClientSession, url: str, session: wire.Session, asked: dict[str, Any], result: dict[str, Any]
) -> None:
    message = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
    async with wire.post(http, url, message, session.headers) as answer:
        assert answer.status == 202


async def _message(stream: aiohttp.ClientResponse, method: str | None) -> dict[str, Any]:
    """The next message of this method on an event stream; None is a response."""
    async for line in stream.content:
        if line.startswith(b"data: {"):
            message: dict[str, Any] = msgspec.json.decode(line.removeprefix(b"data: "))
            if message.get("method") == method:
                return message
    raise AssertionError(f"the stream ended without {method}")
