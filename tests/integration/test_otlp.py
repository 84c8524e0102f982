"""Traces, metrics and logs by OTLP: one file's journey is one trace, and a bad collector costs no request."""

import io
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from longshore.gateway.app import public_runner
from longshore.shared.config import Config
from longshore.shared.metrics import Metrics
from tests.fixtures.collector import Collector, attributes, over_grpc, over_http
from tests.fixtures.gateway import Backing, Client, backing, consumer, entry, producer
from tests.fixtures.upstreams import ScriptedUpstream, writes

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
_COLLECTORS: dict[str, Callable[[], AbstractContextManager[Collector]]] = {"http": over_http, "grpc": over_grpc}


def telemetry(url: str, **more: Any) -> dict[str, Any]:
    return {
        "enabled": True, "transport": "http", "endpoint": url, "emit_logs": True, "periodic_flush_seconds": 1,
        "service_namespace": "harbour", "headers": {"X-Tenant": "tenant-7"}, "shutdown_drain_timeout_seconds": 1,
        "export_timeout_seconds": 1, **more,
    }


def dropped(registry: CollectorRegistry, signal: str) -> float:
    return registry.get_sample_value("longshore_telemetry_dropped_total", {"signal": signal}) or 0.0


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[tuple[Client, CollectorRegistry]]:
    """A client of a gateway, and the gateway's registry."""
    metrics = Metrics()
    runner = public_runner(config, metrics)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as http:
            yield Client(http, f"http://{host}:{port}", config.servers[0].mount_path), metrics.registry
    finally:
        await runner.cleanup()


@contextmanager
def hanging() -> Iterator[str]:
    """A collector's address that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("transport", ["http", "grpc"])
async def test_a_files_journey_is_one_trace_of_both_processes(
    tmp_path: Path, upstream: ScriptedUpstream, transport: str
) -> None:
    upstream.behaviours["tools/call"] = writes(b"%PDF-1.7 cargo")
    with _COLLECTORS[transport]() as collector:
        section = telemetry(collector.url, transport=transport)
        with backing(tmp_path, telemetry=section, core={"log_level": "info"}) as behind:
            config = behind.config(entry(upstream.url, consumer("read"), producer("write")), telemetry=section)
            async with running(config) as (client, _):
                await client.initialize()
                async with client.http.post(
                    await client.upload_url(), data={"file": io.BytesIO(b"manifest")}, headers=PARENT
                ) as uploaded:
                    assert uploaded.status == 200
                answer = await client.request("tools/call", {"name": "write", "arguments": {}}, PARENT)

    assert "artifact" in answer.message["result"]["_meta"]
    found = {
        role: {span.name for span in spans if span.trace_id.hex() == TRACE} for role, spans in collector.spans().items()
    }
    assert {"POST /upload/{server}", "enqueue finalise_upload"} <= found["gateway"]
    assert {"tools/call /mcp/files", "upstream POST", "enqueue finalise_artifact"} <= found["gateway"]
    assert {"run finalise_upload", "run finalise_artifact"} <= found["worker"]
    assert upstream.last("tools/call").request.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert {"adapter_http_requests_total", "adapter_upstream_tool_call_duration_seconds"} <= collector.metric_names()
    assert "worker_started" in {record.body.string_value for record in collector.log_records()}
    assert all(headers["x-tenant"] == "tenant-7" for headers in collector.headers)
    assert {found["service.namespace"] for found in collector.resources()} == {"harbour"}


async def test_each_span_is_the_child_of_the_one_that_caused_it(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = writes(b"%PDF-1.7 cargo")
    with over_http() as collector:
        section = telemetry(collector.url)
        with backing(tmp_path, telemetry=section) as behind:
            config = behind.config(entry(upstream.url, producer("write")), telemetry=section)
            async with running(config) as (client, _):
                await client.initialize()
                await client.request("tools/call", {"name": "write", "arguments": {}}, PARENT)

    spans = {
        span.name: span for each in collector.spans().values() for span in each if span.trace_id.hex() == TRACE
    }
    first = spans["tools/call /mcp/files"]
    assert first.parent_span_id.hex() == "b7ad6b7169203331"
    assert attributes(first.attributes)["gen_ai.tool.name"] in {"write", "other"}
    assert attributes(first.attributes)["mcp.method.name"] == "tools/call"
    assert spans["upstream POST"].parent_span_id == first.span_id
    assert spans["run finalise_artifact"].parent_span_id == spans["enqueue finalise_artifact"].span_id


async def test_no_secret_and_no_query_string_is_exported(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    with over_http() as collector:
        section = telemetry(collector.url, traces={"sample_ratio": 1.0})
        config = shared_backing.config(
            entry(upstream.url), telemetry=section, core={"auth": {"enabled": True, "token": "marker-of-a-token"}}
        )
        bearer = {"X-Mcp-Adapter-Auth-Token": "marker-of-a-token", "Authorization": "Bearer marker-of-a-bearer"}
        async with running(config) as (client, _):
            await client.initialize(bearer)
            async with client.http.get(client.base + "/nothing?sig=marker-of-a-link", headers=bearer) as answer:
                assert answer.status == 404

    assert len(collector.spans()["gateway"]) > 2
    assert "marker-of" not in collector.text()
    assert client.session_id not in str(collector.requests["traces"])


async def test_megabytes_in_a_call_make_a_small_span(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    with over_http() as collector:
        config = shared_backing.config(
            entry(upstream.url), telemetry=telemetry(collector.url, traces={"sample_ratio": 1.0})
        )
        async with running(config) as (client, _):
            await client.initialize()
            body = {"jsonrpc": "2.0", "id": "i" * 300_000, "method": "m" * 300_000, "params": {}}
            await client.post(body, {"traceparent": "0" * 5000})

    assert sum(request.ByteSize() for request in collector.requests["traces"]) < 50_000


async def test_what_a_caller_does_not_sample_is_not_traced(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    with over_http() as collector:
        section = telemetry(collector.url, traces={"sample_ratio": 1.0})
        async with running(shared_backing.config(entry(upstream.url), telemetry=section)) as (client, _):
            await client.initialize({"traceparent": PARENT["traceparent"][:-1] + "0"})

    assert collector.requests["traces"] == []


async def test_without_a_decision_the_ratio_decides(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    with over_http() as collector:
        section = telemetry(collector.url, traces={"sample_ratio": 0.0})
        async with running(shared_backing.config(entry(upstream.url), telemetry=section)) as (client, _):
            await client.initialize()

    assert collector.requests["traces"] == []
    assert collector.requests["metrics"] != []


async def test_a_collector_that_hangs_costs_data_and_no_call(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    with hanging() as url:
        section = telemetry(url, traces={"sample_ratio": 1.0}, max_queue_size=5, queue_batch_size=5)
        async with running(shared_backing.config(entry(upstream.url), telemetry=section)) as (client, registry):
            await client.initialize()
            logging.getLogger("tests").warning("lost")
            for _ in range(20):
                assert (await client.request("ping")).status == 200

    assert dropped(registry, "traces") > 20
    assert dropped(registry, "logs") > 0


async def test_a_collector_that_refuses_is_counted(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    with over_http(status=400) as collector:
        section = telemetry(collector.url, traces={"sample_ratio": 1.0})
        async with running(shared_backing.config(entry(upstream.url), telemetry=section)) as (client, registry):
            await client.initialize()
            logging.getLogger("tests").warning("lost")

    assert dropped(registry, "traces") >= 2
    assert dropped(registry, "metrics") >= 1
    assert dropped(registry, "logs") >= 1


@pytest.mark.parametrize("transport", ["http", "grpc"])
async def test_without_a_collector_calls_succeed(
    shared_backing: Backing, upstream: ScriptedUpstream, transport: str
) -> None:
    section = telemetry("http://127.0.0.1:9", transport=transport, traces={"sample_ratio": 1.0})
    async with running(shared_backing.config(entry(upstream.url), telemetry=section)) as (client, registry):
        await client.initialize()
        assert (await client.request("ping")).status == 200

    assert dropped(registry, "traces") >= 3
