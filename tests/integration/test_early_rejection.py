"""Early rejection: requests of a blocked address are answered cheaply on open connections, others normally."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp import web

from longshore.gateway.app import public_runner
from longshore.shared.metrics import Metrics
from tests.fixtures.gateway import INIT, Backing, entry
from tests.fixtures.upstreams import ScriptedUpstream

_RIGHT, _ADDRESS, _BURST = "the-right-token", "192.0.2.66", 2
_CORE: dict[str, Any] = {"auth": {"enabled": True, "token": _RIGHT}, "trusted_proxies": ["127.0.0.1"]}


@dataclass
class _Connection:
    """One connection to a gateway that blocks `_ADDRESS`."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    metrics: Metrics

    def send(self, *requests: bytes) -> None:
        self.writer.write(b"".join(requests))

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)).decode()
        first, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(first.split(" ")[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def status(self, request: bytes) -> int:
        self.send(request)
        return (await self.answer())[0]

    def counted(self, status: int) -> float:
        """Number of requests to the mount that were answered with this status."""
        labels = {
            "server_id": "files", "adapter_route_group": "mcp", "http_response_status_code": str(status),
        }
        return sum(
            sample.value for family in self.metrics.registry.collect() for sample in family.samples
            if sample.name == "adapter_http_requests_total" and labels.items() <= sample.labels.items()
        )


def _post(token: str = "wrong", *, address: str = _ADDRESS, path: str = "/mcp/files", **more: str) -> bytes:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INIT})
    headers = {
        "Host": "127.0.0.1", "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "X-Forwarded-For": address, "Authorization": f"Bearer {token}", "Content-Length": str(len(body)), **more,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


@asynccontextmanager
async def _blocked(backing: Backing, upstream: ScriptedUpstream) -> AsyncIterator[_Connection]:
    metrics = Metrics()
    config = backing.config(
        entry(upstream.url), core=_CORE, limits={"failed_credentials_per_minute": _BURST}
    )
    runner = public_runner(config, metrics)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        made = _Connection(reader, writer, metrics)
        statuses = [await made.status(_post()) for _ in range(_BURST + 2)]
        assert (statuses[0], statuses[-1]) == (401, 429)
        yield made
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()


async def test_a_flood_on_one_connection_is_answered_and_counted_one_by_one(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    many = 100     # three times what aiohttp's parser takes at once
    with structlog.testing.capture_logs() as logs:
        async with _blocked(fresh_backing, upstream) as made:
            before = made.counted(429)
            made.send(*(_post(f"wrong-{n}") for n in range(many)))
            answers = [await made.answer() for _ in range(many)]
            counted = made.counted(429) - before

    assert {status for status, _, _ in answers} == {429}
    assert {msgspec.json.decode(body)["error"]["data"]["reason"] for _, _, body in answers} == {"rate_limited"}
    assert all(1 <= int(headers["retry-after"]) <= 60 and headers["date"] for _, headers, _ in answers)
    assert counted == many
    refused = [line for line in logs if line["event"] == "requests_refused"]
    assert sum(line["times"] for line in refused) >= many
    assert {(line["server"], line["status"], line["method"]) for line in refused} == {("files", 429, "POST")}
    assert "wrong-" not in repr(logs)
    assert [seen for seen in upstream.seen if seen.message.get("id") == 1] == []


async def test_answers_keep_the_order_of_requests(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    """First an early rejection, then a slow request, then one that would be rejected early if it came first."""
    async with _blocked(fresh_backing, upstream) as made:
        made.send(_post(), _post(_RIGHT, address="192.0.2.1"), _post(), _post(_RIGHT))
        answers = [await made.answer() for _ in range(4)]
        last = await made.status(_post())

    assert [status for status, _, _ in answers] == [429, 200, 429, 200]
    assert last == 429


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (_post(Host="rebound.example"), 403),
        (_post(Origin="http://elsewhere.example"), 403),
        (_post(Connection="close"), 429),
        (_post(path="/mcp/files?token=x"), 400),
        (_post(path="/mcp/files/"), 429),
        (_post(path="/mcp/nothing"), 429),
        (_post().replace(b"POST", b"PATCH", 1), 429),
        (_post().replace(b"Authorization: Bearer wrong\r\n", b""), 401),
        (_post(address="192.0.2.1"), 401),
    ],
)
async def test_checks_before_authentication_still_come_first(
    fresh_backing: Backing, upstream: ScriptedUpstream, request_bytes: bytes, status: int
) -> None:
    async with _blocked(fresh_backing, upstream) as made:
        assert await made.status(request_bytes) == status


async def test_a_body_that_arrives_later_is_part_of_its_request(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    request = _post()
    head, body = request[:-20], request[-20:]
    async with _blocked(fresh_backing, upstream) as made:
        made.send(head)
        await made.writer.drain()
        made.send(body, _post(_RIGHT, address="192.0.2.1"))
        answers = [await made.answer() for _ in range(2)]

    assert [status for status, _, _ in answers] == [429, 200]
