"""Claims of workers on jobs in the queue, and their lapse."""

import asyncio
from collections import Counter
from pathlib import Path

from longshore.shared.jobs import Cleanup, CycleDone
from longshore.shared.redis.scripts import Script
from longshore.shared.state.workers import CLAIM_MS
from longshore.storage_worker.job_runner import Job
from longshore.storage_worker.stores import Stores
from tests.fixtures.storage import State, opened_queue, worker_of

CLAIM, FINISH = Script("claim_jobs"), Script("finish_job")


async def _claim(state: State, worker: str, most: int, claim_ms: int = CLAIM_MS) -> list[bytes]:
    _, *claimed = await state.link.run(CLAIM, [state.keys.queue()], [worker, most, claim_ms, state.keys.job_claim("")])
    return list(claimed[::2])


async def _finish(state: State, worker: str, job_id: str, result: bytes) -> bool:
    keys = state.keys
    named = [
        keys.queue(), keys.job(job_id), keys.job_result(job_id), keys.job_claim(job_id), keys.job_tries(job_id)
    ]
    return bool(await state.link.run(FINISH, named, [worker, job_id, -1, result, 60_000, "nobody"]))


async def test_racing_workers_claim_each_job_once(state: State) -> None:
    async with opened_queue(state, listening=False) as queue:
        for number in range(50):
            await queue.enqueue(Cleanup(), job_id=f"job{number}")

    claims = await asyncio.gather(*(_claim(state, f"w{number % 5}", 7) for number in range(20)))

    counts = Counter(job_id for claim in claims for job_id in claim)
    assert len(counts) == 50
    assert set(counts.values()) == {1}


async def test_a_lapsed_claim_passes_to_another_worker(state: State) -> None:
    async with opened_queue(state, listening=False) as queue:
        await queue.enqueue(Cleanup(), job_id="job")
    assert await _claim(state, "dead", 1, claim_ms=1_000) == [b"job"]

    at_once = await _claim(state, "other", 1)
    async with asyncio.timeout(20):
        while not (later := await _claim(state, "other", 1)):
            await asyncio.sleep(0.02)

    assert at_once == []
    assert later == [b"job"]


async def test_a_worker_with_a_current_heartbeat_keeps_its_claim(state: State) -> None:
    async with opened_queue(state, listening=False) as queue:
        await queue.enqueue(Cleanup(), job_id="job")
        await _claim(state, "alive", 1, claim_ms=1_000)
        beat = await state.workers.heartbeat("alive", ["job"])
        await queue.enqueue(Cleanup(), job_id="later")
    assert await _claim(state, "dead", 1, claim_ms=1_000) == [b"later"]

    async with asyncio.timeout(20):
        while not (passed_on := await _claim(state, "other", 2)):
            await asyncio.sleep(0.02)

    assert beat.lost == 0
    assert passed_on == [b"later"]


async def test_a_heartbeat_does_not_take_back_a_claim_that_passed_to_another_worker(state: State) -> None:
    async with opened_queue(state, listening=False) as queue:
        await queue.enqueue(Cleanup(), job_id="job")
    await _claim(state, "late", 1, claim_ms=1)
    await asyncio.sleep(0.05)
    assert await _claim(state, "other", 1) == [b"job"]

    beat = await state.workers.heartbeat("late", ["job"])

    assert beat.lost == 1
    assert await state.link.call("GET", state.keys.job_claim("job")) == b"other"


async def test_the_result_of_a_worker_whose_claim_lapsed_is_ignored(state: State) -> None:
    async with opened_queue(state, listening=False) as queue:
        await queue.enqueue(Cleanup(), job_id="job")
    await _claim(state, "late", 1, claim_ms=1)
    await asyncio.sleep(0.05)
    await _claim(state, "other", 1)

    late = await _finish(state, "late", "job", b"late's")
    other = await _finish(state, "other", "job", b"other's")

    assert (late, other) == (False, True)
    assert await state.link.call("GET", state.keys.job_result("job")) == b"other's"
    assert await state.link.call("ZCARD", state.keys.queue()) == 0


async def test_lapsed_workers_are_not_counted(state: State) -> None:
    await state.workers.heartbeat("one")
    await state.workers.heartbeat("two")
    await state.link.call("ZADD", state.keys.workers(), 1, "dead")

    assert await state.workers.count_live() == 2
    await state.workers.deregister("one")
    assert await state.workers.count_live() == 1


async def test_a_periodic_job_is_enqueued_once_an_interval(state: State) -> None:
    waits = await asyncio.gather(*(state.periodic.enqueue(Cleanup(), interval_ms=60_000) for _ in range(20)))

    assert await state.link.call("ZCARD", state.keys.queue()) == 1
    assert all(59_000 < wait <= 60_000 for wait in waits)


async def test_a_periodic_job_is_not_enqueued_while_its_last_run_lasts(state: State) -> None:
    await state.periodic.enqueue(Cleanup(), interval_ms=30)
    [job_id] = await _claim(state, "slow", 1)
    await asyncio.sleep(0.1)

    await state.periodic.enqueue(Cleanup(), interval_ms=30)

    assert await state.link.call("ZCARD", state.keys.queue()) == 1
    assert await _claim(state, "other", 1) == []
    assert await state.link.call("GET", state.keys.job_claim(job_id.decode())) == b"slow"


async def test_a_full_worker_continues_as_slots_become_free(state: State, tmp_path: Path) -> None:
    """Three hundred jobs wait before the worker starts, so that nothing but its own slots ever wakes it: a
    worker that slept with due jobs in the queue would do so for five seconds each time."""
    done: list[int] = []
    everything = asyncio.Event()

    async def work(_stores: Stores, _order: Cleanup) -> CycleDone:
        await asyncio.sleep(0.001 * (len(done) % 3))
        done.append(1)
        if len(done) == 300:
            everything.set()
        return CycleDone(removed={})

    async with opened_queue(state, listening=False) as queue:
        await asyncio.gather(*(queue.enqueue(Cleanup()) for _ in range(300)))
    worker = await worker_of(state, tmp_path, Job(Cleanup, work, timeout_s=5, keep_result_s=0), max_jobs=10)

    async with asyncio.TaskGroup() as group:
        main = group.create_task(worker.main())
        async with asyncio.timeout(20):
            await everything.wait()
        await worker.stop(2)
        main.cancel()

    assert len(done) == 300


async def test_jobs_run_at_once_up_to_the_limit_and_never_above(state: State, tmp_path: Path) -> None:
    running, most = 0, 0
    ended = asyncio.Event()
    count = 0

    async def work(_stores: Stores, _order: Cleanup) -> CycleDone:
        nonlocal running, most, count
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        count += 1
        if count == 60:
            ended.set()
        return CycleDone(removed={})

    async with opened_queue(state, listening=False) as queue:
        await asyncio.gather(*(queue.enqueue(Cleanup()) for _ in range(60)))
    worker = await worker_of(state, tmp_path, Job(Cleanup, work, timeout_s=5, keep_result_s=0), max_jobs=6)

    async with asyncio.TaskGroup() as group:
        main = group.create_task(worker.main())
        async with asyncio.timeout(20):
            await ended.wait()
        await worker.stop(2)
        main.cancel()

    assert most == 6


async def test_a_stopping_worker_returns_jobs_that_do_not_end_in_time(state: State, tmp_path: Path) -> None:
    begun, runs = asyncio.Event(), 0

    async def work(_stores: Stores, _order: Cleanup) -> CycleDone:
        nonlocal runs
        runs += 1
        begun.set()
        if runs == 1:
            await asyncio.sleep(60)
        return CycleDone(removed={})

    job = Job(Cleanup, work, timeout_s=90, keep_result_s=0)
    async with opened_queue(state, listening=False) as queue:
        await queue.enqueue(Cleanup(), job_id="job")
    first = await worker_of(state, tmp_path, job, max_jobs=2)
    second = await worker_of(state, tmp_path, job, max_jobs=2)

    async with asyncio.TaskGroup() as group:
        one = group.create_task(first.main())
        async with asyncio.timeout(20):
            await begun.wait()
        await first.stop(0.1)
        one.cancel()
        two = group.create_task(second.main())
        async with asyncio.timeout(20):  # sooner than a claim lapses
            while await state.link.call("ZCARD", state.keys.queue()):
                await asyncio.sleep(0.02)
        await second.stop(1)
        two.cancel()

    assert runs == 2
