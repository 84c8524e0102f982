"""A real Prometheus reads gateway and worker: dashboards find their data, and alerts fire when they should."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from longshore.shared.metrics import GatewayMetrics, WorkerMetrics
from longshore.shared.process_metrics import ProcessMetrics
from tests.fixtures.collector import over_http
from tests.fixtures.metrics_table import families
from tests.fixtures.observed import PROMETHEUS, PROMTOOL, observed, prometheus
from tests.fixtures.processes import REPOSITORY, until
from tests.fixtures.upstreams import Reply, Seen, result, stream

_DASHBOARDS = sorted((REPOSITORY / "deploy" / "grafana" / "dashboards").glob("*.json"))
_STILL = frozenset({
    "longshore_streams_open", "longshore_calls_waiting", "longshore_queue_depth", "longshore_queue_age_seconds",
    "longshore_job_claims_lost", "adapter_adapter_wiring_not_ready_servers",
})
_SESSIONS = "max_over_time(longshore_sessions[5m]) > 0"
needs_prometheus = pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason="needs prometheus: tests/setup.sh")


def _queries() -> Iterator[tuple[str, str]]:
    for file in _DASHBOARDS:
        for panel in msgspec.json.decode(file.read_bytes())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"].replace("$__rate_interval", "1m")


@needs_prometheus
async def test_every_panel_has_data_after_a_file_journey(tmp_path: Path) -> None:
    async with observed(tmp_path) as seen, prometheus(tmp_path, seen) as server:
        await seen.world.journey()
        for metric in ("adapter_artifact_downloads", "longshore_jobs_finished", "adapter_cleanup_cycles"):
            await server.until(f"sum(rate({metric}_total[1m]))")    # two scrapes have it
        found = {name: await server.query(expression) for name, expression in _queries()}
        up = await server.query('sum by (job) (up{job=~"longshore.*"})')

    assert len(found) >= 40
    assert not [name for name, series in found.items() if not series]
    assert {one["metric"]["job"]: one["value"][1] for one in up} == {"longshore-gateway": "1", "longshore-worker": "1"}


@needs_prometheus
@pytest.mark.timeout(150)
async def test_every_family_is_moved_by_what_it_counts(tmp_path: Path) -> None:
    """As a Prometheus sees it. Of gauges that fall back within a scrape, and of lost claims, the series is there."""
    async def streams(seen: Seen) -> Reply:
        answer = msgspec.json.encode(result(seen, {"content": []}))
        return await stream(seen, b"data: " + answer + b"\n\n")

    async with observed(tmp_path, sessions={"idle_ttl_seconds": 2}) as seen, prometheus(tmp_path, seen) as server:
        client, upstream = seen.world.client, seen.world.upstream
        await seen.world.journey()
        upstream.behaviours["tools/call"] = streams
        await client.call("echo")
        await client.post(b"{not json")
        await client.upload(f"{client.base}/upload/files?scope=x&nonce=y&exp=1&sig=z", ("a.txt", b"a"))
        left = set(_moved())

        async def ask() -> bool | None:
            left.difference_update([expression for expression in left if await server.query(expression)])
            if _SESSIONS in left:
                await client.result("tools/list")       # until it was seen, the session must not expire
            return None if left else True

        with suppress(AssertionError):
            await until(ask, within_s=90)

    assert left == set()


def _moved() -> Iterator[str]:
    """Check that returns something once the family has moved."""
    for group in (GatewayMetrics, WorkerMetrics, ProcessMetrics):
        for family in families(group(CollectorRegistry())):
            (described,) = family.describe()
            name = described.name
            if name in _STILL:
                yield f'{name}{"_total" if described.type == "counter" else ""}'
            elif described.type == "gauge":
                yield f"max_over_time({name}[5m]) > 0"
            else:
                yield f'{name}{"_total" if described.type == "counter" else "_count"} > 0'


@needs_prometheus
async def test_latencies_lead_to_the_traces_of_requests_that_are_traced(tmp_path: Path) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with over_http() as collector:
        telemetry = {
            "enabled": True, "transport": "http", "endpoint": collector.url, "traces": {"sample_ratio": 0.0},
        }
        async with observed(tmp_path, telemetry=telemetry) as seen, prometheus(tmp_path, seen) as server:
            client, traced = seen.world.client, {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            assert (await client.request("tools/call", {"name": "echo", "arguments": {}}, traced)).status == 200
            await client.call("echo")

            async def ask(family: str) -> list[dict[str, str]] | None:
                return await server.exemplars(f"{family}_seconds_bucket") or None

            for family in ("adapter_upstream_tool_call_duration", "adapter_http_request_duration"):
                assert await until(partial(ask, family), within_s=30) == [{"trace_id": trace}]

    assert {span.trace_id.hex() for span in collector.spans()["gateway"]} == {trace}


@needs_prometheus
@pytest.mark.parametrize("words", [("test", "rules", "tests/prometheus/alerts.yml"),
                                   ("check", "rules", "deploy/prometheus-rules.yml")], ids=["alerts", "syntax"])
async def test_rules_hold(words: tuple[str, ...]) -> None:
    assert PROMTOOL is not None
    done = await asyncio.to_thread(
        subprocess.run, [PROMTOOL, *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboards_are_told_apart_and_name_the_provisioned_source() -> None:
    boards = [msgspec.json.decode(file.read_bytes()) for file in _DASHBOARDS]

    assert len({board["uid"] for board in boards}) == len(boards) == 5
    assert {panel["datasource"]["uid"] for board in boards for panel in board["panels"]} == {"prometheus"}


def test_each_dashboard_is_shown_in_the_documentation() -> None:
    """`python -m tests.pictures` draws them anew."""
    document = (REPOSITORY / "docs" / "dashboards.md").read_text()

    for file in _DASHBOARDS:
        picture = f"images/dashboard-{file.stem}.png"
        assert f"]({picture})" in document
        assert 0 < (REPOSITORY / "docs" / picture).stat().st_size < 150_000
