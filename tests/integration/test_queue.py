"""The job queue between gateways and workers, on a real Redis."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from arq.jobs import deserialize_job, serialize_job

from longshore.shared.errors import SessionGone, StoreDown, WorkerDown
from longshore.shared.jobs import FinaliseUpload, Removed, RemoveScope, UploadsDone
from longshore.shared.metrics import Metrics
from longshore.shared.redis.address import parse_redis_url
from longshore.shared.state.queue import Queue, envelope
from longshore.storage_worker.worker import running_worker
from tests.fixtures.storage import (
    RedisServer,
    State,
    files_below,
    opened_blobs,
    opened_queue,
    opened_state,
    upload_order,
    worker_config,
)


def test_the_envelope_is_arq_s_own() -> None:
    order = RemoveScope(scope="s")
    body = msgspec.msgpack.encode(order)

    ours = envelope(order, 1_700_000_000_123)

    theirs = serialize_job("remove_scope", (body,), {}, None, 1_700_000_000_123, serializer=msgspec.msgpack.encode)
    job = deserialize_job(ours, deserializer=msgspec.msgpack.decode)
    assert ours == theirs
    assert (job.function, list(job.args), job.kwargs) == ("remove_scope", [body], {})


async def test_an_outcome_comes_back_and_nothing_of_the_job_stays(state: State, tmp_path: Path) -> None:
    async with (
        running_worker(worker_config(state.url, tmp_path), Metrics().worker),
        opened_queue(state) as queue, opened_blobs(tmp_path) as blobs,
    ):
        order = await upload_order(blobs, await state.open_session(), b"one", b"two")

        outcome = await queue.run(order, timeout_s=20)

        assert isinstance(outcome, UploadsDone)
        assert [record.id for record in outcome.records] == [file.id for file in order.files]
        # A worker's periodic jobs come and go beside it; their ids have no caller before a dot.
        queued = await state.link.call("ZRANGE", state.keys.queue(), 0, -1)
        assert [job_id for job_id in queued if b"." in job_id] == []
        assert await state.link.call("KEYS", "arq:job:*.*") == []
        assert await state.link.call("KEYS", "arq:in-progress:*.*") == []
        assert await state.link.call("KEYS", "arq:retry:*.*") == []


async def test_a_refusal_is_raised_as_the_original_error(state: State, tmp_path: Path) -> None:
    async with (
        running_worker(worker_config(state.url, tmp_path), Metrics().worker),
        opened_queue(state) as queue, opened_blobs(tmp_path) as blobs,
    ):
        order = await upload_order(blobs, "an-unknown-session-id", b"one")

        with pytest.raises(SessionGone) as refused:
            await queue.run(order, timeout_s=20)

        assert (refused.value.status, refused.value.code) == (404, -32001)


async def test_a_result_whose_message_was_lost_is_found_by_polling(state: State, tmp_path: Path) -> None:
    async with (
        running_worker(worker_config(state.url, tmp_path), Metrics().worker),
        opened_queue(state, listening=False) as deaf,
    ):
        async with asyncio.timeout(20):  # long before the caller would give up
            outcome = await deaf.run(RemoveScope(scope="nobody"), timeout_s=30)

        assert outcome == Removed(files=0)


async def test_without_a_worker_the_job_is_withdrawn(state: State) -> None:
    async with opened_queue(state) as queue:
        with pytest.raises(WorkerDown):
            await queue.run(RemoveScope(scope="nobody"), timeout_s=0.2)

        assert await state.link.call("DBSIZE") == 0


async def test_a_cancelled_caller_withdraws_its_job(state: State) -> None:
    async with opened_queue(state) as queue:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.run(RemoveScope(scope="nobody"), timeout_s=60), 0.2)

        async with asyncio.timeout(20):
            while await state.link.call("DBSIZE"):
                await asyncio.sleep(0.01)


async def test_a_job_does_not_start_after_its_callers_timeout(state: State, tmp_path: Path) -> None:
    """The caller dies with its gateway, so the job is not withdrawn; the envelope has expired when a worker starts."""
    async with opened_blobs(tmp_path) as blobs:
        scope = await state.open_session()
        order = await upload_order(blobs, scope, b"one")
        async with opened_queue(state) as queue, asyncio.TaskGroup() as group:
            caller = group.create_task(_ignoring_worker_down(queue.run(order, timeout_s=0.3)))
            await asyncio.sleep(0)
            async with asyncio.timeout(20):
                while not (ids := await state.link.call("ZRANGE", state.keys.queue(), 0, -1)):
                    await asyncio.sleep(0.01)
            await caller
        await state.link.call("ZADD", state.keys.queue(), 1, ids[0])  # as if it had not been withdrawn

        async with running_worker(worker_config(state.url, tmp_path), Metrics().worker), asyncio.timeout(20):
            while await state.link.call("ZCARD", state.keys.queue()):
                await asyncio.sleep(0.01)

        assert (await state.files.used_bytes(scope)).scope == 0
        assert files_below(tmp_path) == [f"staging/{order.files[0].staged_name}"]


async def _ignoring_worker_down(running: object) -> None:
    with pytest.raises(WorkerDown):
        await running  # type: ignore[misc]


async def test_racing_callers_enqueue_an_id_once(state: State) -> None:
    async with opened_queue(state) as queue:
        enqueued = await asyncio.gather(
            *(queue.enqueue(RemoveScope(scope="s"), job_id="the-one") for _ in range(20))
        )

        assert sum(enqueued) == 1
        assert await state.link.call("ZCARD", state.keys.queue()) == 1


async def test_a_deferred_job_waits(state: State, tmp_path: Path) -> None:
    async with opened_queue(state) as queue, running_worker(
        worker_config(state.url, tmp_path), Metrics().worker
    ):
        await queue.enqueue(RemoveScope(scope="s"), defer_ms=1_500)
        queued = await state.link.call("ZCARD", state.keys.queue())
        async with asyncio.timeout(20):
            while await state.link.call("ZCARD", state.keys.queue()):
                await asyncio.sleep(0.02)

    assert queued == 1


async def test_callers_never_receive_each_other_s_outcomes(state: State, tmp_path: Path) -> None:
    async with (
        running_worker(worker_config(state.url, tmp_path), Metrics().worker),
        opened_queue(state) as one, opened_queue(state) as two, opened_blobs(tmp_path) as blobs,
    ):
        scope = await state.open_session()
        orders = [await upload_order(blobs, scope, f"{number}".encode()) for number in range(40)]

        outcomes = await asyncio.gather(
            *((one, two)[number % 2].run(order, timeout_s=10) for number, order in enumerate(orders))
        )

        for order, outcome in zip(orders, outcomes, strict=True):
            assert isinstance(outcome, UploadsDone)
            assert [record.id for record in outcome.records] == [order.files[0].id]


async def test_an_outcome_survives_a_restart_of_redis(own_server: RedisServer, tmp_path: Path) -> None:
    """The caller waits while Redis is killed and started again; the job was in its append-only file."""
    async with opened_state(own_server.address) as state, opened_queue(state) as queue, opened_blobs(tmp_path) as blobs:
        order: FinaliseUpload = await upload_order(blobs, await state.open_session(), b"one")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(queue.run(order, timeout_s=20))
            async with asyncio.timeout(20):
                while not await state.link.call("ZCARD", state.keys.queue()):
                    await asyncio.sleep(0.01)
            own_server.kill()
            own_server.start()
            async with running_worker(worker_config(own_server.url, tmp_path), Metrics().worker):
                outcome = await waiting

    assert isinstance(outcome, UploadsDone)


async def test_an_unreachable_redis_fails_at_once(own_server: RedisServer) -> None:
    async with opened_state(own_server.address) as state, opened_queue(state) as queue:
        own_server.kill()

        with pytest.raises(StoreDown):
            await queue.run(RemoveScope(scope="s"), timeout_s=20)


async def test_a_redis_with_a_password_serves_both_sides(own_server: RedisServer, tmp_path: Path) -> None:
    async with opened_state(own_server.address) as opened:
        await opened.link.call("ACL", "SETUSER", "longshore", "on", ">p@ss/word", "~*", "&*", "+@all")
        await opened.link.call("ACL", "SETUSER", "default", "off")
    url = own_server.url.replace("unix://", "unix://longshore:p%40ss%2Fword@")

    async with (
        running_worker(worker_config(url, tmp_path), Metrics().worker),
        opened_state(parse_redis_url(url)) as state, opened_queue(state) as queue,
    ):
        outcome = await queue.run(RemoveScope(scope="nobody"), timeout_s=20)

    assert outcome == Removed(files=0)


async def test_jobs_are_counted_by_name_as_they_are_enqueued(state: State) -> None:
    counted: list[str] = []
    queue = Queue(state.link, state.keys, "gateway", state.tasks, on_enqueued=counted.append)

    for _ in range(2):
        await queue.enqueue(RemoveScope(scope="s"), job_id="the-one")

    assert counted == ["remove_scope"]
