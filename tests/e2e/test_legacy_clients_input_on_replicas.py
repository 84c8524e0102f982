"""Official clients with sessions, asked by a server of the modern revision, through two gateways in turn.

Each answer goes to another gateway than the one where the call waits.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.e2e import wire
from tests.e2e.stack import Gateway, server, stack
from tests.fixtures.balancer import Balancer, round_robin
from tests.fixtures.node import PLAYWRIGHT
from tests.fixtures.processes import REPOSITORY, free_port, run, until_listening

_NODE = REPOSITORY / "tests" / "node" / "clients"
_PYTHON = Path(__file__).with_name("sdk") / "asked.py"
_CLIENTS: dict[str, list[str | Path]] = {
    "python 2": [sys.executable, "-W", "ignore", _PYTHON],
    "python 1": [REPOSITORY / ".venv-mcp1" / "bin" / "python", "-W", "ignore", _PYTHON],
    "typescript 1": [PLAYWRIGHT[0], _NODE / "session_asked.mjs"],
    "typescript 2": [PLAYWRIGHT[0], _NODE / "session_asked2.mjs"],
}
_CAN_ALL: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}


@dataclass
class Deployment:
    """Two gateways and the balancer before them."""

    gateways: list[Gateway]
    balancer: Balancer

    @property
    def url(self) -> str:
        return f"{self.balancer.base}/mcp/asking"


@pytest.fixture
async def deployed(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as running:
        port = free_port()
        argv = [sys.executable, "-m", "tests.e2e.modern_only_server", str(port)]
        await until_listening(running.enter_context(run(argv, folder=tmp_path)), port)
        made = running.enter_context(stack(tmp_path, [server("asking", f"http://127.0.0.1:{port}/mcp")]))
        made.start_worker()
        gateways = list(await asyncio.gather(made.start_gateway(), made.start_gateway()))
        ports = [int(gateway.base.rpartition(":")[2]) for gateway in gateways]
        yield Deployment(gateways, await running.enter_async_context(round_robin(ports)))


async def _report(client: str, url: str, folder: Path) -> dict[str, Any]:
    with run([*_CLIENTS[client], url], folder=folder) as process:
        status = await asyncio.to_thread(process.wait, within_s=50)
        output = process.output()
    assert status == 0, f"{client}: {output}"
    report: dict[str, Any] = msgspec.json.decode(output.splitlines()[-1])
    return report


async def test_every_client_answers_what_the_server_asks(deployed: Deployment, tmp_path: Path) -> None:
    """Forms, pages, the model and the roots, several at once and in rounds, in tools, a prompt and a resource."""
    reports = await asyncio.gather(*(_report(client, deployed.url, tmp_path) for client in _CLIENTS))

    for client, report in zip(_CLIENTS, reports, strict=True):
        report.pop("generation", None)
        assert report.pop("version", wire.VERSION) == wire.VERSION
        assert report == {
            "greeted": "ahoy Ada", "surveyed": "Ada: sampled: a port near Brest, file:///harbour",
            "loggedIn": "logged in", "prompt": "write to Ada", "read": "Brest: file:///harbour",
            "again": "high water in Brest", "steps": [[2, 2]], "asked": ["form", "form", "url", "url", "form"],
            "done": 2,
        }, client
    assert min(deployed.balancer.served.values()) > 10


async def test_an_answer_that_dies_with_its_gateway_may_be_given_again(deployed: Deployment) -> None:
    """The call waits on in the other one; and when that one dies, the client sees its stream end, and calls again."""
    waits, dies = deployed.gateways
    async with aiohttp.ClientSession() as http:
        session = await wire.open_session(http, waits.mount("asking"), capabilities=_CAN_ALL)
        call = {"name": "greet", "arguments": {}}
        request = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}
        async with wire.post(http, waits.mount("asking"), request, session.headers) as stream:
            asked = await _message(stream)
            dies.process.kill()
            with pytest.raises(aiohttp.ClientError):
                await _answer(http, dies.mount("asking"), session, asked)
            await _answer(http, waits.mount("asking"), session, asked)
            result = await _message(stream)
        async with wire.post(http, waits.mount("asking"), request, session.headers) as stream:
            await _message(stream)
            waits.process.kill()
            with pytest.raises(aiohttp.ClientError):
                await _message(stream)

    assert result["result"]["content"][0]["text"] == "ahoy Ada"


async def _answer(http: aiohttp.ClientSession, url: str, session: wire.Session, asked: dict[str, Any]) -> None:
    message = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"name": "Ada"}}}
    async with wire.post(http, url, message, session.headers) as answer:
        assert answer.status == 202


async def _message(stream: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next message of an event stream. Raises aiohttp.ClientError when it breaks off."""
    async with asyncio.timeout(20):
        async for line in stream.content:
            if line.startswith(b"data: {"):
                message: dict[str, Any] = msgspec.json.decode(line.removeprefix(b"data: "))
                return message
    raise AssertionError("the stream ended in good order")
