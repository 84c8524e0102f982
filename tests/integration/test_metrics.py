"""Metrics of gateways and workers: an action changes its family."""

import asyncio
from pathlib import Path

from aiohttp import web

from longshore.shared.metrics import Metrics
from tests.fixtures.measured import Measured, measured, total
from tests.fixtures.modern import Modern
from tests.fixtures.server_requests import ADA, FORM, InputRequired, Tool, call
from tests.fixtures.upstreams import Reply, Seen

_FILES = {"server_id": "files"}


async def _reaches(metrics: Metrics, sample: str, least: float, **labels: str) -> None:
    async with asyncio.timeout(15):
        while total(metrics, sample, **labels) < least:
            await asyncio.sleep(0.02)


async def test_a_file_journey_moves_the_families_of_files_and_jobs(tmp_path: Path) -> None:
    async with measured(tmp_path) as world:
        await world.journey()
        await _reaches(world.gateway, "longshore_files", 2)

    counted = world.gateway
    assert total(counted, "adapter_upload_batches_total", **_FILES) == 1
    assert total(counted, "adapter_upload_files_total", **_FILES) == 1
    assert total(counted, "adapter_upload_bytes_total", **_FILES) == len(b"some notes")
    assert total(counted, "adapter_upload_credentials_total", operation="issue", result="success", **_FILES) == 1
    assert total(counted, "adapter_upload_credentials_total", operation="validate", result="success", **_FILES) == 1
    assert total(counted, "adapter_nonce_operations_total", operation="reserve", backend="redis", **_FILES) == 1
    assert total(counted, "adapter_nonce_operations_total", operation="consume", backend="redis", **_FILES) == 1
    assert total(counted, "adapter_upstream_tool_calls_total", tool_name="read", result="success", **_FILES) == 1
    assert total(counted, "adapter_upstream_tool_call_duration_seconds_count", tool_name="write", **_FILES) == 1
    assert total(counted, "adapter_artifact_downloads_total", auth_mode="signed_url", result="success", **_FILES) == 1
    assert total(counted, "adapter_artifact_download_bytes_total", **_FILES) == len(b"%PDF-1.7\n")
    assert total(counted, "adapter_artifact_download_duration_seconds_count", **_FILES) == 1
    assert total(counted, "adapter_adapter_wiring_runs_total", result="success", **_FILES) >= 1
    assert total(counted, "adapter_adapter_wiring_not_ready_servers", **_FILES) == 0
    assert total(counted, "adapter_sessions_lifecycle_total", event="created", **_FILES) == 1
    assert total(counted, "longshore_stored_bytes") == len(b"some notes") + len(b"%PDF-1.7\n")
    assert total(counted, "longshore_jobs_enqueued_total", job="finalise_upload") == 1
    assert total(world.worker, "longshore_jobs_finished_total", job="finalise_artifact", result="done") == 1
    assert total(world.worker, "longshore_job_finish_seconds_count", job="finalise_upload") == 1


async def test_a_link_that_is_used_again_is_counted_as_a_reservation_that_failed(tmp_path: Path) -> None:
    async with measured(tmp_path) as world:
        link = await world.client.upload_url()
        assert (await world.client.upload(link, ("a.txt", b"a"))).status == 200
        assert (await world.client.upload(link, ("a.txt", b"a"))).status == 403

    family, counted = "adapter_nonce_operations_total", world.gateway
    assert total(counted, family, operation="reserve", result="success", **_FILES) == 1
    assert total(counted, family, operation="reserve", result="error", **_FILES) == 1
    assert total(counted, family, operation="consume", result="success", **_FILES) == 1
    assert total(counted, family, operation="consume", result="error", **_FILES) == 0


async def test_resumable_uploads_through_a_link_are_counted_as_its_use(tmp_path: Path) -> None:
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Content-Type": "application/offset+octet-stream"}
    async with measured(tmp_path) as world:
        link = await world.client.upload_url()
        async with world.client.http.post(link, headers=tus, data=b"a") as answer:
            assert answer.status == 201

    family, counted = "adapter_nonce_operations_total", world.gateway
    assert total(counted, family, operation="reserve", result="success", **_FILES) == 1
    assert total(counted, family, operation="consume", result="success", **_FILES) == 1


async def test_requests_and_message_bytes_are_counted_by_server_and_route(tmp_path: Path) -> None:
    async with measured(tmp_path) as world:
        received = total(world.gateway, "longshore_message_bytes_total", direction="received")
        sent = total(world.gateway, "longshore_message_bytes_total", direction="sent")
        body = b'{"jsonrpc":"2.0","id":9,"method":"tools/list"}'
        answer = await world.client.post(body)

        assert total(world.gateway, "longshore_message_bytes_total", direction="received") - received == len(body)
        assert total(world.gateway, "longshore_message_bytes_total", direction="sent") - sent == len(answer.body)
    assert total(world.gateway, "adapter_http_requests_total", http_response_status_class="2xx", **_FILES) >= 3
    assert total(world.gateway, "adapter_http_request_duration_seconds_count", **_FILES) >= 3


async def test_a_stream_is_counted_while_it_is_open_and_timed_to_its_first_bytes(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def slowly(seen: Seen) -> Reply:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        await response.write(b": working\n\n")
        await go_on.wait()
        await response.write(b'data: {"jsonrpc":"2.0","id":%d,"result":{"content":[]}}\n\n' % seen.message["id"])
        return response

    async with measured(tmp_path) as world, asyncio.TaskGroup() as group:
        world.upstream.behaviours["tools/call"] = slowly
        call = group.create_task(world.client.call("echo"))
        await _reaches(world.gateway, "longshore_stream_first_byte_seconds_count", 1)
        during = total(world.gateway, "longshore_streams_open")
        go_on.set()
        await call

    assert during == 1
    assert total(world.gateway, "longshore_streams_open") == 0
    assert total(world.gateway, "longshore_stream_first_byte_seconds_count", **_FILES) == 1


async def test_a_call_is_counted_while_it_waits_for_its_client(tmp_path: Path) -> None:
    async with measured(tmp_path) as world:
        Tool(world.upstream, [[FORM]])
        client = Modern(world.client)
        asked = InputRequired.of(await call(client, workspace="w"))
        during = total(world.gateway, "longshore_calls_waiting")
        await call(client, asked.answers(ADA), workspace="w")

    assert (during, total(world.gateway, "longshore_calls_waiting")) == (1, 0)


async def test_refusals_are_counted_by_their_reason(tmp_path: Path) -> None:
    async with measured(tmp_path) as world:
        other = f"{world.client.base}/upload/files?scope=x&nonce=y&exp=1&sig=z"
        await world.client.upload(other, ("a.txt", b"a"))
        await world.client.post(b"{not json")
        for query in ("", "?sig=forged"):
            async with world.client.http.get(f"{world.client.base}/artifacts/files/{'s' * 22}/{'a' * 22}/x{query}"):
                pass

    assert total(world.gateway, "adapter_upload_failures_total", **_FILES) == 1
    assert total(world.gateway, "adapter_upload_credentials_total", operation="validate", result="error") == 1
    assert total(world.gateway, "adapter_artifact_downloads_total", result="error", auth_mode="signed_url") == 1
    assert total(world.gateway, "adapter_artifact_downloads_total", result="error", auth_mode="session_context") == 1
    assert total(world.gateway, "adapter_auth_rejections_total", **_FILES) == 2
    assert total(world.gateway, "adapter_request_rejections_total", http_response_status_code="400", **_FILES) == 2


async def test_sessions_that_rest_and_come_back_are_counted(tmp_path: Path) -> None:
    async with measured(tmp_path, sessions={"idle_ttl_seconds": 1}) as world:
        rested = {"event": "idle_expired_tombstoned", **_FILES}
        await _reaches(world.worker, "adapter_sessions_lifecycle_total", 1, **rested)
        await world.client.result("tools/list")
        await _reaches(world.worker, "adapter_cleanup_cycles_total", 2, status="success")

    assert total(world.gateway, "adapter_sessions_lifecycle_total", event="revived", **_FILES) == 1
    assert total(world.worker, "adapter_cleanup_removed_records_total", bucket="tombstoned_sessions") >= 1


async def test_both_processes_know_the_totals_and_their_own_pulse(tmp_path: Path) -> None:
    async with measured(tmp_path) as world:
        for metrics in (world.gateway, world.worker):
            await _reaches(metrics, "longshore_sessions", 1)
            await _reaches(metrics, "longshore_workers", 1)
            await _reaches(metrics, "longshore_event_loop_lag_seconds_count", 1)

            assert total(metrics, "longshore_redis_up") == 1
            assert total(metrics, "longshore_redis_round_trip_seconds_count") >= 1
            assert total(metrics, "longshore_build_info") == 1


async def test_label_bombs_make_no_series(tmp_path: Path) -> None:
    """Tools, servers, methods and paths that callers invent share the series that are there."""
    async with measured(tmp_path) as world:
        async def bomb(n: int) -> None:
            await world.client.request("tools/call", {"name": f"invented-{n}", "arguments": {}})
            await world.client.request(f"invented/{n}")
            base = world.client.base
            await world.client.upload(f"{base}/upload/server-{n}", ("a.txt", b"a"))
            async with world.client.http.get(f"{base}/artifacts/server-{n}/s/a/x.txt"):
                pass
            async with world.client.http.request(f"VERB{n}", f"{base}/path-{n}"):
                pass

        await bomb(0)
        before = _series(world)
        for n in range(1, 30):
            await bomb(n)

        assert _series(world) == before
    assert total(world.gateway, "adapter_upstream_tool_calls_total", tool_name="other", **_FILES) == 30


def _series(world: Measured) -> int:
    return sum(len(family.samples) for family in world.gateway.registry.collect())
