"""`longshore up` with telemetry: the last export when it stops, also if the collector hangs."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.fixtures.collector import over_http
from tests.fixtures.gateway import Client, entry
from tests.fixtures.processes import LONGSHORE, Process, free_port, run, until_healthy
from tests.fixtures.upstreams import ScriptedUpstream


@asynccontextmanager
async def up(folder: Path, upstream: ScriptedUpstream, collector_url: str) -> AsyncIterator[tuple[Client, Process]]:
    """A client of it; nothing is exported before the end."""
    port = free_port()
    config = {
        "core": {"host": "127.0.0.1", "port": port, "admin_port": free_port()},
        "storage": {"root": str(folder / "data")},
        "servers": [entry(upstream.url)],
        "telemetry": {
            "enabled": True, "transport": "http", "endpoint": collector_url, "periodic_flush_seconds": 600,
            "export_interval_seconds": 600, "traces": {"sample_ratio": 1.0},
        },
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    with run([*LONGSHORE, "up", "--config", file], folder=folder) as process:
        await until_healthy(process, f"http://127.0.0.1:{port}/healthz", within_s=40)
        async with aiohttp.ClientSession() as http:
            yield Client(http, f"http://127.0.0.1:{port}", "/mcp/files"), process


async def test_waiting_telemetry_is_exported_at_the_end(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with over_http() as collector:
        async with up(tmp_path, upstream, collector.url) as (client, process):
            await client.initialize()
            assert "initialize /mcp/files" not in _spans(collector.spans())
            await asyncio.to_thread(process.stop, grace_s=30)

    assert "initialize /mcp/files" in _spans(collector.spans())
    assert {"adapter_http_requests_total", "longshore_jobs_finished_total"} <= collector.metric_names()


async def test_a_collector_that_hangs_is_given_up(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        async with up(tmp_path, upstream, f"http://127.0.0.1:{hangs.getsockname()[1]}") as (client, process):
            await client.initialize()
            status = await asyncio.to_thread(process.stop, grace_s=30)

    assert status == 0      # it ended by itself


def _spans(found: dict[str, list[Span]]) -> set[str]:
    return {span.name for spans in found.values() for span in spans}
