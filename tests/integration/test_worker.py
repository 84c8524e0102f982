"""Worker processes as shipped: killed at any moment, stopped, and disconnected from Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest

from longshore.shared.config import Prometheus, Telemetry
from longshore.shared.ids import new_id
from longshore.shared.jobs import (
    ArtifactDone,
    Candidate,
    FinaliseArtifact,
    FinaliseUpload,
    Outcome,
    RemoveScope,
    UploadsDone,
)
from longshore.shared.metrics import Metrics
from longshore.shared.records import FileRecord
from longshore.shared.storage.layout import artifact_parts, upload_parts
from longshore.storage_worker.worker import serve
from tests.fixtures.processes import free_port
from tests.fixtures.storage import (
    RedisServer,
    State,
    files_below,
    opened_blobs,
    opened_queue,
    opened_state,
    sha256,
    until_workers,
    upload_order,
    worker_config,
    worker_process,
)


@asynccontextmanager
async def _state(server: RedisServer) -> AsyncIterator[State]:
    async with opened_state(server.address) as state:
        yield state


async def _orders(state: State, root: Path, count: int) -> list[FinaliseUpload | FinaliseArtifact]:
    """Uploads of many files and artifacts of many bytes in turn: jobs that take long enough to be hit."""
    orders: list[FinaliseUpload | FinaliseArtifact] = []
    async with opened_blobs(root) as blobs:
        for number in range(count):
            scope = await state.open_session()
            if number % 2:
                made = root / f"out-{number}.bin"
                made.write_bytes(bytes([number]) * 24_000_000)
                place = Candidate(source="located", path=str(made), name=made.name)
                orders.append(FinaliseArtifact(
                    scope=scope, server="s1", artifact_id=new_id(), tool="t", candidates=[place], not_before_ns=0,
                    expose=True,
                ))
            else:
                orders.append(await upload_order(blobs, scope, *(f"{n}".encode() * 100 for n in range(12))))
    return orders


async def _is_whole(state: State, root: Path, order: FinaliseUpload | FinaliseArtifact, outcome: Outcome) -> bool:
    """Every record has its bytes, they are counted once, and nothing else of the job is there."""
    parts, top = (upload_parts, "uploads") if isinstance(outcome, UploadsDone) else (artifact_parts, "artifacts")
    records = _records(outcome)
    for record in records:
        content = root.joinpath(*parts(record.scope, record.id, record.stored_name)).read_bytes()
        if sha256(content) != record.sha256:
            return False
    files = [path for path in (root / top / "sessions" / order.scope).rglob("*") if path.is_file()]
    return len(files) == len(records) and await _counted(state, order.scope) == _size(records)


def _records(outcome: Outcome) -> list[FileRecord]:
    if isinstance(outcome, UploadsDone):
        return list(outcome.records)
    assert isinstance(outcome, ArtifactDone)
    return [outcome.record]


def _size(records: Sequence[FileRecord]) -> int:
    return sum(record.size_bytes for record in records)


async def _counted(state: State, scope: str) -> int:
    return (await state.files.used_bytes(scope)).scope


@pytest.mark.parametrize(
    "after_s", [0.0, 0.03, pytest.param(0.01, marks=pytest.mark.slow), pytest.param(0.08, marks=pytest.mark.slow)]
)
async def test_jobs_of_a_killed_worker_complete_on_another(server: RedisServer, tmp_path: Path, after_s: float) -> None:
    """SIGKILL at once, or a little later, after the first claim; a second worker starts only then."""
    root = tmp_path / "root"
    async with _state(server) as state, opened_queue(state) as queue, asyncio.TaskGroup() as group:
        orders = await _orders(state, root, 8)
        with worker_process(server.url, root, tmp_path) as first:
            await until_workers(state, 1)
            runs = [group.create_task(queue.run(order, timeout_s=40)) for order in orders]
            async with asyncio.timeout(20):
                while not await state.link.call("KEYS", "arq:in-progress:*"):
                    await asyncio.sleep(0)
            await asyncio.sleep(after_s)
            first.kill()
        if after_s:                  # else they lapse by themselves, in seconds
            await state.lapse_claims()
        with worker_process(server.url, root, tmp_path):
            outcomes = await asyncio.gather(*runs)

        for order, outcome in zip(orders, outcomes, strict=True):
            assert await _is_whole(state, root, order, outcome)
        records = [record for outcome in outcomes for record in _records(outcome)]
        assert (await state.files.used_bytes("none")).total == _size(records)


async def test_a_worker_that_is_stopped_waits_for_its_jobs(server: RedisServer, tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with _state(server) as state, opened_queue(state) as queue, asyncio.TaskGroup() as group:
        orders = (await _orders(state, root, 6))[1::2]
        with worker_process(server.url, root, tmp_path) as worker:
            await until_workers(state, 1)
            runs = [group.create_task(queue.run(order, timeout_s=20)) for order in orders]
            async with asyncio.timeout(20):
                while len(await state.link.call("KEYS", "arq:in-progress:*")) < len(orders):
                    await asyncio.sleep(0)

            status = await asyncio.to_thread(worker.stop)

        outcomes = await asyncio.gather(*runs)
        assert status == 0
        assert await state.workers.count_live() == 0
        for order, outcome in zip(orders, outcomes, strict=True):
            assert await _is_whole(state, root, order, outcome)


async def test_a_worker_survives_an_outage_of_redis(own_server: RedisServer, tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with _state(own_server) as state, opened_queue(state) as queue:
        with worker_process(own_server.url, root, tmp_path) as worker:
            await until_workers(state, 1)
            own_server.kill()
            await _is_missed(own_server)
            own_server.start()
            async with opened_blobs(root) as blobs:
                order = await upload_order(blobs, await state.open_session(), b"after the restart")

            outcome = await queue.run(order, timeout_s=15)

            assert worker.is_running()
            assert isinstance(outcome, UploadsDone)


async def _is_missed(server: RedisServer) -> None:
    """Somebody has tried to reach the server, which is not there, again and again."""
    tried = 0

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tried
        tried += 1
        writer.close()

    async with asyncio.timeout(20), await asyncio.start_unix_server(refuse, server.address.unix_path):
        while tried < 4:
            await asyncio.sleep(0.01)
    Path(server.address.unix_path).unlink(missing_ok=True)


async def test_two_workers_share_the_jobs_and_charge_each_once(server: RedisServer, tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with _state(server) as state, opened_queue(state) as queue, opened_blobs(root) as blobs:
        with worker_process(server.url, root, tmp_path), worker_process(server.url, root, tmp_path):
            await until_workers(state, 2)
            scope = await state.open_session()
            orders = [await upload_order(blobs, scope, b"x" * 10) for _ in range(100)]

            outcomes = await asyncio.gather(*(queue.run(order, timeout_s=20) for order in orders))

    assert all(isinstance(outcome, UploadsDone) for outcome in outcomes)
    assert len(files_below(root)) == 100


async def test_metrics_are_served_while_the_worker_runs(server: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    async with _state(server) as state, opened_queue(state) as queue, asyncio.TaskGroup() as group:
        serving = group.create_task(serve(worker_config(server.url, tmp_path), admin_port=port))
        await until_workers(state, 1)
        await queue.run(RemoveScope(scope="nobody"), timeout_s=20)

        text = (await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}/metrics")).read().decode()
        serving.cancel()

    assert 'longshore_jobs_finished_total{job="remove_scope",result="done"} 1.0' in text
    assert "longshore_queue_depth" in text
    assert 'longshore_build_info{python="' in text


async def test_an_admin_port_in_use_does_not_stop_the_worker(server: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    async with _state(server) as state, asyncio.TaskGroup() as group:
        holder = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
        serving = group.create_task(serve(worker_config(server.url, tmp_path), admin_port=port))
        await until_workers(state, 1)
        serving.cancel()
        holder.close()
        await holder.wait_closed()


def test_no_two_processes_share_metric_families() -> None:
    one, two = Metrics(), Metrics()

    one.gateway.upload_files.labels(server_id="s1").inc()

    assert two.registry.get_sample_value("adapter_upload_files_total", {"server_id": "s1"}) is None


async def test_disabled_metrics_are_not_served(server: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    config = msgspec.structs.replace(
        worker_config(server.url, tmp_path), telemetry=Telemetry(prometheus=Prometheus(enabled=False))
    )
    async with _state(server) as state, asyncio.TaskGroup() as group:
        serving = group.create_task(serve(config, admin_port=port))
        await until_workers(state, 1)

        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        serving.cancel()
