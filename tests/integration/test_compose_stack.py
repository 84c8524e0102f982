"""The gateway's and the worker's services, run as docker-compose.yml says, do the stack's job."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from mcp.client.client import Client

from tests.integration.compose_stack import ComposeStack, Replica, compose_stack
from tests.integration.file_journey import file_in, file_out


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[ComposeStack]:
    async with compose_stack(tmp_path) as made:
        yield made


def _mount(gateway: Replica) -> str:
    return f"http://{gateway.address}/mcp/playwright"


async def test_one_gateway_and_one_worker_carry_a_file_in_and_one_out(stack: ComposeStack) -> None:
    await stack.start("worker")
    gateway = await stack.gateway()

    async with Client(_mount(gateway)) as client, aiohttp.ClientSession() as http:
        await file_in(client, http, b"bananas" * 10_000)
        await file_out(client, http)


async def test_two_gateways_and_two_workers_share_the_load(stack: ComposeStack) -> None:
    """Clients at both gateways at once; one worker dies half way."""
    doomed, _ = await asyncio.gather(stack.start("worker"), stack.start("worker"))
    first, second = await asyncio.gather(stack.gateway(), stack.gateway())

    async with Client(_mount(first)) as one, Client(_mount(second)) as two, aiohttp.ClientSession() as http:
        await asyncio.gather(*(file_in(client, http, bytes([n]) * 5_000) for n in range(6) for client in (one, two)))
        doomed.process.kill()
        await asyncio.gather(file_in(one, http, b"after"), file_in(two, http, b"after"))
        await asyncio.gather(file_out(one, http), file_out(two, http))


async def test_every_replica_has_metrics_for_prometheus(stack: ComposeStack) -> None:
    worker = await stack.start("worker")
    gateway = await stack.gateway()

    async with aiohttp.ClientSession() as http, Client(_mount(gateway)) as client:
        await file_in(client, http, b"counted")
        pages = [await _metrics(http, replica) for replica in (gateway, worker)]

    assert "adapter_http_requests_total{" in pages[0]
    assert 'adapter_upload_files_total{server_id="playwright"} 1.0' in pages[0]
    assert all("longshore_jobs" in page or "adapter_" in page for page in pages)


async def test_services_stop_in_time_when_told_to(stack: ComposeStack) -> None:
    """Compose sends SIGTERM and waits `stop_grace_period`; both end themselves, well before."""
    replicas = [await stack.start("worker"), await stack.gateway()]

    statuses = [await asyncio.to_thread(replica.process.stop, grace_s=10) for replica in replicas]

    assert statuses == [0, 0], [replica.process.output() for replica in replicas]


async def _metrics(http: aiohttp.ClientSession, replica: Replica) -> str:
    async with http.get(f"http://{replica.admin}/metrics") as answer:
        assert answer.status == 200
        return await answer.text()
