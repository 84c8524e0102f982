"""Errors of a job, as they reach its caller."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from longshore.shared.errors import LongshoreError, OverQuota, StoreDown, Unavailable, WorkerDown
from longshore.shared.jobs import Cleanup, CycleDone, Outcome, Sweep
from longshore.shared.metrics import Metrics
from longshore.shared.state.queue import Queue
from longshore.storage_worker.job_runner import Job
from longshore.storage_worker.stores import Stores
from tests.fixtures.storage import State, opened_queue, worker_of

Work = Callable[[Stores, Cleanup], Awaitable[Outcome]]


@asynccontextmanager
async def _working(
    state: State, root: Path, work: Work, *, timeout_s: float = 5, metrics: Metrics | None = None
) -> AsyncIterator[Queue]:
    """A caller's queue, and a worker whose one job is `work`, without wake-ups."""
    job = Job(Cleanup, work, timeout_s=timeout_s, keep_result_s=60)
    worker = await worker_of(state, root, job, metrics=metrics)
    async with opened_queue(state) as queue, asyncio.TaskGroup() as group:
        subscribed = group.create_task(worker.main())
        waking = group.create_task(_wake(worker.wake))
        try:
            yield queue
        finally:
            await worker.stop(1)
            subscribed.cancel()
            waking.cancel()


async def _wake(wake: Callable[[], None]) -> None:
    while True:
        wake()
        await asyncio.sleep(0.01)


def _runs(metrics: Metrics, result: str) -> float:
    labels = {"job": "cleanup", "result": result}
    return metrics.registry.get_sample_value("longshore_jobs_finished_total", labels) or 0


async def test_a_bug_is_reported_by_its_trace_id_alone(state: State, tmp_path: Path) -> None:
    metrics = Metrics()

    async def work(_stores: Stores, _order: Cleanup) -> CycleDone:
        raise KeyError("/data/secret-path")

    async with _working(state, tmp_path, work, metrics=metrics) as queue:
        with pytest.raises(LongshoreError, match="trace id") as failed:
            await queue.run(Cleanup(), timeout_s=20)

    assert (failed.value.status, failed.value.reason) == (500, "internal")
    assert "secret" not in str(failed.value)
    assert _runs(metrics, "failed") == 1


async def test_a_refusal_is_not_retried(state: State, tmp_path: Path) -> None:
    runs = 0

    async def work(_stores: Stores, _order: Cleanup) -> CycleDone:
        nonlocal runs
        runs += 1
        raise OverQuota(size_bytes=2, used_bytes=3, budget_bytes=4)

    async with _working(state, tmp_path, work) as queue:
        with pytest.raises(OverQuota, match="2 bytes do not fit"):
            await queue.run(Cleanup(), timeout_s=20)

    assert runs == 1


async def test_an_unavailable_job_is_retried(state: State, tmp_path: Path) -> None:
    metrics, runs = Metrics(), 0

    async def work(_stores: Stores, _order: Cleanup) -> CycleDone:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise StoreDown("away for a moment")
        return CycleDone(removed={})

    async with _working(state, tmp_path, work, metrics=metrics) as queue:
        outcome = await queue.run(Cleanup(), timeout_s=10)

    assert outcome == CycleDone(removed={})
    assert (_runs(metrics, "retried"), _runs(metrics, "done")) == (2, 1)


async def test_retries_end_with_the_reason(state: State, tmp_path: Path) -> None:
    metrics, runs = Metrics(), 0

    async def work(_stores: Stores, _order: Cleanup) -> CycleDone:
        nonlocal runs
        runs += 1
        raise Unavailable("the volume is asleep")

    async with _working(state, tmp_path, work, metrics=metrics) as queue:
        with pytest.raises(Unavailable, match="asleep"):
            await queue.run(Cleanup(), timeout_s=20)
        queued = await state.link.call("ZCARD", state.keys.queue())

    assert runs == 4
    assert queued == 0
    assert (_runs(metrics, "retried"), _runs(metrics, "dead")) == (3, 1)


async def test_a_job_that_takes_too_long_times_out(state: State, tmp_path: Path) -> None:
    async def work(_stores: Stores, _order: Cleanup) -> CycleDone:
        await asyncio.sleep(60)
        return CycleDone(removed={})

    async with _working(state, tmp_path, work, timeout_s=0.1) as queue:
        with pytest.raises(WorkerDown, match="took too long"):
            await queue.run(Cleanup(), timeout_s=20)


async def test_a_job_that_no_worker_knows_is_reported(state: State, tmp_path: Path) -> None:
    async def work(_stores: Stores, _order: Cleanup) -> CycleDone:
        return CycleDone(removed={})

    async with _working(state, tmp_path, work) as queue:
        with pytest.raises(WorkerDown):
            async with asyncio.timeout(20):
                await queue.run(Sweep(), timeout_s=20)
