"""A network that fails between client, gateway and upstream: no call hangs past its time, and nothing is left.

Every fault meets every kind of exchange at once. What the clients are told may differ with the moment at which
the fault strikes; that they are told in time, and what the gateway holds afterwards, may not.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
import pytest
import structlog
from aiohttp import web

from longshore.gateway.app import public_runner
from longshore.shared.metrics import Metrics
from tests.fixtures.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.fixtures.gateway import Backing, Client, consumer, entry, producer
from tests.fixtures.leaks import holdings, left_behind
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, stream, writes

_LIMIT_S = 1                 # core.defaults.tool_call_timeout_seconds
_SLACK_S = 4.0               # of a busy machine
_LISTEN_S = 0.8
_LARGE = "x" * 400_000
_STEP = b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}\n\n'
_FILE = bytes(range(256)) * 1200

FAULTS = {
    "latency": Fault(latency_s=0.05),
    "answer cut in its head": Fault(answer_breaks="close", after_bytes=40),
    "answer cut in its body": Fault(answer_breaks="close", after_bytes=400),
    "answer reset": Fault(answer_breaks="reset", after_bytes=300),
    "answer half closed": Fault(answer_breaks="half_close", after_bytes=350),
    "answer swallowed": Fault(answer_breaks="swallow"),
    "answer swallowed midway": Fault(answer_breaks="swallow", after_bytes=500),
    "request cut": Fault(request_breaks="close", after_bytes=100),
    "request reset": Fault(request_breaks="reset", after_bytes=700),
    "request half closed": Fault(request_breaks="half_close", after_bytes=200),
    "request swallowed": Fault(request_breaks="swallow"),
    "slow read": Fault(slow_bytes=8_000, pause_s=0.1),
}


@dataclass
class Deployment:
    """One gateway with a proxy on either side of it."""

    app: web.Application
    before: FaultProxy           # between clients and the gateway
    behind: FaultProxy           # between the gateway and the upstream
    upstream: ScriptedUpstream
    redis_url: str
    late: list[str] = field(default_factory=list)    # exchanges that did not end before their client left

    def client(self, http: aiohttp.ClientSession) -> Client:
        return Client(http, f"http://127.0.0.1:{self.before.port}", "/mcp/files")


@asynccontextmanager
async def deployment(backing: Backing, upstream: ScriptedUpstream) -> AsyncIterator[Deployment]:
    async with fault_proxy(urlsplit(upstream.url).port or 0) as behind:
        config = backing.config(
            entry(f"http://127.0.0.1:{behind.port}/mcp", consumer("read"), producer("write")),
            core={"allow_artifacts_download": True, "defaults": {"tool_call_timeout_seconds": _LIMIT_S}},
        )
        runner = public_runner(config, Metrics())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with fault_proxy(runner.addresses[0][1]) as before:
                yield Deployment(runner.app, before, behind, upstream, backing.redis_url)
        finally:
            await runner.cleanup()


def prepare(upstream: ScriptedUpstream) -> None:
    """Every kind of answer that there is a relay for."""
    upstream.capabilities |= {"resources": {}}

    async def call(seen: Seen) -> Reply:
        name = seen.params["name"]
        if name == "write":
            return await writes(_FILE)(seen)
        answer = result(seen, {"content": [{"type": "text", "text": _LARGE if name == "large" else "done"}]})
        if name != "stream":
            return answer
        response = b'data: {"jsonrpc":"2.0","id":%d,"result":{"content":[]}}\n\n' % seen.message["id"]
        return await stream(seen, *[_STEP] * 20, response)

    async def read(seen: Seen) -> Reply:
        return result(seen, {"contents": [{"uri": "test://large", "text": _LARGE}]})

    async def standing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(200):
            await response.write(b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n')
            await asyncio.sleep(0.05)
        return response

    upstream.behaviours |= {"tools/call": call, "resources/read": read}
    upstream.on_get = standing


@dataclass
class Visitor:
    """A client with all that its exchanges need, prepared while nothing fails."""

    client: Client
    links: list[str]
    download: str
    artifact: str

    @classmethod
    async def enter(cls, client: Client, *, uploads: int) -> "Visitor":
        await client.initialize()
        links = [await client.upload_url() for _ in range(uploads)]
        artifact = (await client.call("write", {"path": "out.bin"}))["_meta"]["artifact"]
        return cls(client, links, artifact["download_url"], artifact["artifact_uri"])

    async def plain(self) -> None:
        await self.client.call("large")

    async def streamed(self) -> None:
        await self.client.call("stream")

    async def captured(self) -> None:
        await self.client.call("write", {"path": "out.bin"})

    async def merged_list(self) -> None:
        assert len((await self.client.result("tools/list"))["tools"]) == 5

    async def read(self) -> None:
        await self.client.result("resources/read", {"uri": "test://large"})

    async def read_own(self) -> None:
        await self.client.result("resources/read", {"uri": self.artifact})

    async def listen(self) -> None:
        """The standing stream, left after a while: one that never begins has no time by which it should."""
        client = self.client
        headers = client.headers({"Accept": "text/event-stream"})
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(_LISTEN_S),
                client.http.get(client.base + client.mount, headers=headers) as standing,
            ):
                for _ in range(5):
                    await standing.content.readuntil(b"\n\n")

    async def upload(self) -> None:
        answer = await self.client.upload(self.links.pop(), ("cargo.bin", _FILE))
        assert answer.status == 200

    async def fetch(self) -> None:
        async with self.client.http.get(self.download) as answer:
            assert await answer.read() == _FILE

    def exchanges(self) -> list[Callable[[], Awaitable[None]]]:
        """One of every kind."""
        return [
            self.plain, self.streamed, self.captured, self.merged_list, self.read, self.read_own, self.listen,
            self.upload, self.fetch,
        ]


async def _attempt(made: Deployment, exchange: Callable[[], Awaitable[None]], *, patience_s: float) -> None:
    """One exchange, which may fail and should not be late. Its client leaves when its patience ends."""
    try:
        async with asyncio.timeout(patience_s):
            await exchange()
    except TimeoutError:
        made.late.append(exchange.__name__)
    except (AssertionError, aiohttp.ClientError, asyncio.IncompleteReadError, OSError):
        return  # failed, and was told


async def _suffer(made: Deployment, proxy: FaultProxy, visitors: list[Visitor], *, patience_s: float) -> None:
    """Every fault on one side of the gateway, for everybody at once."""
    for fault in FAULTS.values():
        with proxy.failing(fault):
            await asyncio.gather(*(
                _attempt(made, exchange, patience_s=patience_s)
                for visitor in visitors
                for exchange in visitor.exchanges()
            ))


async def _table(backing: Backing, upstream: ScriptedUpstream, *, visitors: int) -> None:
    prepare(upstream)
    async with (
        deployment(backing, upstream) as made,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0)) as http,
    ):
        entered = [await Visitor.enter(made.client(http), uploads=2 * len(FAULTS) + 2) for _ in range(visitors)]
        for exchange in entered[0].exchanges():
            await exchange()
        await asyncio.sleep(0.2)
        before = holdings(made.app, made.redis_url)

        with structlog.testing.capture_logs() as logged:
            await _suffer(made, made.behind, entered, patience_s=_LIMIT_S + _SLACK_S)
            late, made.late = made.late, []
            await _suffer(made, made.before, entered, patience_s=_LIMIT_S + 0.5)
            left = await left_behind(made.app, made.redis_url, before)
        for exchange in entered[0].exchanges():
            await exchange()

    assert late == []
    assert left == {}
    assert [line for line in logged if line["event"] in ("bug", "background_task_failed")] == []
    assert made.before.broken + made.behind.broken > 90 * visitors    # of 108; who is late has left before


async def test_a_thousand_faults_leave_nothing(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    """Five clients, nine kinds of exchange, twelve faults, on either side: 1,080 exchanges that meet one."""
    await _table(fresh_backing, upstream, visitors=5)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_thousands_of_faults_leave_nothing(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    await _table(fresh_backing, upstream, visitors=24)
