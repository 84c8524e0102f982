"""A real Prometheus reads gateway and worker: dashboards find their data, and alerts fire when they should."""

import asyncio
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tests.fixtures.collector import over_http
from tests.fixtures.observed import PROMETHEUS, PROMTOOL, observed, prometheus
from tests.fixtures.processes import REPOSITORY, until

_DASHBOARDS = sorted((REPOSITORY / "deploy" / "grafana" / "dashboards").glob("*.json"))
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
