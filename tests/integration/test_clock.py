"""A wall clock that is set while calls run: durations stay what they were, and exports go on."""

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from longshore.shared.clock import now_ns, now_s
from longshore.shared.metrics import Metrics
from tests.fixtures.collector import over_http
from tests.fixtures.gateway import Backing, Client, entry, gateway
from tests.fixtures.measured import measured, total
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result

_LONG_S = 300       # no call of a test takes as long; a step is a day


def step(patch: pytest.MonkeyPatch, seconds: int) -> None:
    """Set the clock of this process, as an operator or NTP does."""
    read_s, read_ns = time.time, time.time_ns  # noqa: TID251  (the clock itself, not a reading of it)
    patch.setattr("time.time", lambda: read_s() + seconds)
    patch.setattr("time.time_ns", lambda: read_ns() + seconds * 1_000_000_000)


def durations_s(collector_requests: list[Any]) -> list[float]:
    """Of every span."""
    return [
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        for request in collector_requests for part in request.resource_spans
        for scope in part.scope_spans for span in scope.spans
    ]


def points(collector_requests: list[Any]) -> list[Any]:
    """The data points of every histogram and counter."""
    return [
        point for request in collector_requests for part in request.resource_metrics for scope in part.scope_metrics
        for metric in scope.metrics for point in (*metric.histogram.data_points, *metric.sum.data_points)
    ]


@pytest.mark.parametrize("seconds", [-86_400, 86_400], ids=["back", "ahead"])
async def test_a_step_within_a_call_is_in_no_duration(
    shared_backing: Backing, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    async def steps(seen: Seen) -> Reply:
        step(monkeypatch, seconds)
        return result(seen, {"content": []})

    upstream.behaviours["tools/call"] = steps
    metrics = Metrics()
    with over_http() as collector:
        telemetry = {
            "enabled": True, "transport": "http", "endpoint": collector.url, "traces": {"sample_ratio": 1.0},
        }
        config = shared_backing.config(entry(upstream.url), telemetry=telemetry)
        async with gateway(config, metrics=metrics) as base, aiohttp.ClientSession() as http:
            client = Client(http, base, "/mcp/files")
            await client.initialize()
            before_ns = now_ns()
            await client.call("echo")
            assert abs(now_s() - before_ns / 1e9) > _LONG_S

    took_s = durations_s(collector.requests["traces"])
    assert len(took_s) >= 4
    assert all(0 <= each < _LONG_S for each in took_s)
    for family in ("adapter_http_request_duration_seconds", "adapter_upstream_tool_call_duration_seconds"):
        assert total(metrics, f"{family}_count") >= 1
        assert 0 <= total(metrics, f"{family}_sum") < _LONG_S
    assert points(collector.requests["metrics"])
    assert all(point.start_time_unix_nano <= point.time_unix_nano for point in points(collector.requests["metrics"]))


@pytest.mark.parametrize("seconds", [-86_400, 86_400], ids=["back", "ahead"])
async def test_files_and_jobs_go_on_after_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    async with measured(tmp_path) as world:
        await world.journey()
        step(monkeypatch, seconds)
        await world.journey()
        histograms = {
            sample.name: sample.value
            for metrics in (world.gateway, world.worker) for family in metrics.registry.collect()
            if family.type == "histogram" for sample in family.samples if sample.name.endswith("_sum")
        }

    assert total(world.worker, "longshore_jobs_finished_total", job="finalise_upload", result="done") == 2
    assert total(world.worker, "longshore_jobs_finished_total", job="finalise_artifact", result="done") == 2
    assert "longshore_job_finish_seconds_sum" in histograms
    assert not {name: value for name, value in histograms.items() if not 0 <= value < _LONG_S}
