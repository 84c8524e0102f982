"""The stack's balancer in front of gateways that come and go, found by DNS as in the stack itself.

Replicas differ by address and share a port there; on one host, loopback has addresses enough.
"""

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from mcp.client.client import Client

from tests.e2e import wire
from tests.fixtures.processes import REPOSITORY, Process, free_port, run, until, until_listening
from tests.integration.compose_stack import ComposeStack, Replica, compose_stack
from tests.integration.dns import Zone, zone
from tests.integration.file_journey import file_in, file_out, upload

_FIRST, _SECOND = "127.0.0.1", "127.0.0.2"
_FOUND = re.compile(r"^Server gateways/.* is UP/READY", re.MULTILINE)


@dataclass(frozen=True)
class Balanced:
    """The stack behind its balancer."""

    stack: ComposeStack
    zone: Zone
    port: int           # of every gateway
    base: str           # of the balancer
    process: Process

    @property
    def mount(self) -> str:
        return f"{self.base}/mcp/playwright"

    async def add(self, host: str) -> Replica:
        """One more gateway; returns once the balancer has found it."""
        replica = await self.stack.gateway(host=host, port=self.port)
        self.zone.addresses = [*self.zone.addresses, host]
        wanted = len(self.zone.addresses)

        async def found() -> bool | None:
            return len(_FOUND.findall(self.process.output())) >= wanted or None

        await until(found, self.process)
        return replica


@pytest.fixture
async def balanced(tmp_path: Path) -> AsyncIterator[Balanced]:
    """Redis, a worker and the balancer; tests start gateways and put them into DNS."""
    haproxy = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if haproxy is None:
        pytest.skip("there is no haproxy on PATH, and tests/setup.sh could not install one")
    if not _has_second_loopback():
        pytest.skip("this host has one loopback address only")
    port = free_port()
    async with compose_stack(tmp_path) as stack, zone("gateway", []) as (names, dns_port):
        await stack.start("worker")
        async with _balancer(haproxy, tmp_path, gateways=port, dns=dns_port) as (process, base):
            yield Balanced(stack, names, port, base, process)


@asynccontextmanager
async def _balancer(haproxy: str, folder: Path, *, gateways: int, dns: int) -> AsyncIterator[tuple[Process, str]]:
    port = free_port()
    env = {
        "LONGSHORE_BALANCER_BIND": f"127.0.0.1:{port}",
        "LONGSHORE_GATEWAYS": f"gateway:{gateways}",
        "LONGSHORE_DNS": f"127.0.0.1:{dns}",
    }
    with run([haproxy, "-db", "-f", REPOSITORY / "deploy" / "haproxy.cfg"], folder=folder, env=env) as process:
        await until_listening(process, port)
        yield process, f"http://127.0.0.1:{port}"


async def test_a_client_does_not_notice_that_its_gateway_is_killed(balanced: Balanced) -> None:
    """Forty calls of one session; a gateway is killed between two of them while another one is there."""
    doomed = await balanced.add(_FIRST)
    await balanced.add(_SECOND)

    async with Client(balanced.mount) as client, aiohttp.ClientSession() as http:
        handle = await upload(client, http, b"before")
        before = [await client.call_tool("browser_file_upload", {"paths": [handle]}) for _ in range(20)]
        doomed.process.kill()
        after = [await client.call_tool("browser_file_upload", {"paths": [handle]}) for _ in range(20)]
        await file_out(client, http)

    assert not any(result.is_error for result in before + after)
    assert len({str(result.content) for result in before + after}) == 1


async def test_gateways_join_and_leave_by_dns_alone(balanced: Balanced) -> None:
    """The balancer needs no more than the change of `--scale gateway=N` in DNS."""
    leaving = await balanced.add(_FIRST)
    async with aiohttp.ClientSession() as http:
        async with Client(balanced.mount) as client:
            await file_in(client, http, b"by the first")

        await balanced.add(_SECOND)
        balanced.zone.addresses = [_SECOND]
        status = await asyncio.to_thread(leaving.process.stop)
        async with Client(balanced.mount) as client:
            await file_in(client, http, b"by the second")

    assert status == 0


async def test_events_pass_the_balancer_as_they_happen(balanced: Balanced, tmp_path: Path) -> None:
    """Progress arrives while the call runs: the tool ends only after the client has seen it."""
    await balanced.add(_FIRST)
    signal = tmp_path / "signal"

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        signal.touch()

    async with Client(balanced.mount, mode="legacy") as client:
        async with asyncio.timeout(20):
            result = await client.call_tool(
                "browser_wait_for", {"signal": str(signal)}, progress_callback=progressed
            )

    assert not result.is_error


async def test_what_callers_claim_about_themselves_is_dropped(balanced: Balanced) -> None:
    """A forged `X-Forwarded-Host` must not end up in the links that longshore gives."""
    await balanced.add(_FIRST)
    forged = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Forwarded-Proto": "https"}

    async with aiohttp.ClientSession(headers=forged) as http:
        session = await wire.open_session(http, balanced.mount)
        ticket = await session.tool(balanced.mount, "playwright_get_upload_url", 1)

    assert ticket["structuredContent"]["upload_url"].startswith(f"{balanced.base}/upload/playwright")


def _has_second_loopback() -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((_SECOND, 0))
        except OSError:
            return False
    return True
