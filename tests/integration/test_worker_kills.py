"""Workers killed in the middle of each periodic job and of an eviction, and Redis killed under all of them.

What is observed, in Redis or on the volume, says when to kill: somewhere between the first step and the last.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from longshore.shared.errors import LongshoreError
from longshore.shared.ids import new_id
from longshore.shared.jobs import Cleanup, FinaliseUpload, Outcome, Payload, Removed, RemoveScope, Sweep, UploadsDone
from longshore.shared.records import FileRecord, UploadRecord
from longshore.shared.state.files import UsedBytes
from longshore.shared.state.queue import Queue
from longshore.shared.state.quota import NO_LIMITS
from longshore.shared.state.reconciliation import Reconciled, ReconciliationStore
from longshore.shared.storage.layout import upload_parts
from tests.fixtures.storage import (
    RedisServer,
    artifact_record,
    files_below,
    opened_queue,
    until_workers,
    upload_order,
    upload_record,
    worker_process,
)
from tests.fixtures.world import LONG_MS, World, age, opened_world, place

T = TypeVar("T")
_MANY = 400
_AT_ONCE = 8                 # files whose records a killed worker may have dropped without unlinking them


class _TooLate(Exception):
    """The job ended before the kill, so that the run proves nothing."""


def killed_in_time(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., Coroutine[None, None, None]]:
    """Run the test again, on an empty volume and Redis, if the kill came too late.

    What a worker does between first and last step takes it milliseconds, and the kernel may well let us wait
    as long: that says nothing about the worker.
    """

    @functools.wraps(test)
    async def until_in_time(server: RedisServer, tmp_path: Path, **arguments: int) -> None:
        for attempt in range(6):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            try:
                return await test(server, folder, **arguments)
            except _TooLate:
                continue
        pytest.fail("the worker was done before each of the kills")

    return until_in_time


@asynccontextmanager
async def _world(server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(server.address, tmp_path / "root") as world:
        # Workers reconcile a storage with a Redis that knows nothing of it: then there would be no orphans.
        reconciliation = ReconciliationStore(world.state.link, world.state.keys, NO_LIMITS)
        await reconciliation.save(Reconciled(begun_ms=1, finished_ms=1))
        yield world


async def _killed_at(
    world: World, folder: Path, work: Callable[[Queue], Coroutine[None, None, T]],
    is_time: Callable[[], Awaitable[bool]], *options: str,
) -> T:
    """Result of `work`, whose first worker is killed and whose second one resumes it."""
    url, root = world.state.url, world.root
    async with opened_queue(world.state) as queue, asyncio.TaskGroup() as group:
        with worker_process(url, root, folder, *options) as first:
            await until_workers(world.state, 1)
            running = group.create_task(work(queue))
            async with asyncio.timeout(20):
                while not await is_time() and not running.done():
                    await asyncio.sleep(0)
            first.kill()
        is_late = running.done()
        if not is_late:
            await world.state.lapse_claims()
            with worker_process(url, root, folder, *options):
                await running
    if is_late:
        await world.state.link.call("FLUSHALL")
        raise _TooLate
    return running.result()


def _once(order: Payload) -> Callable[[Queue], Coroutine[None, None, Outcome]]:
    return lambda queue: queue.run(order, timeout_s=40)


def _periodic(order: Payload, is_done: Callable[[], Awaitable[bool]]) -> Callable[[Queue], Coroutine[None, None, None]]:
    """Enqueue a job without a caller and wait for its effect."""

    async def work(queue: Queue) -> None:
        assert await queue.enqueue(order)
        async with asyncio.timeout(40):
            while not await is_done():
                await asyncio.sleep(0.01)

    return work


@pytest.mark.parametrize("left", [_MANY - 1, pytest.param(_MANY // 2, marks=pytest.mark.slow), _MANY // 10])
@killed_in_time
async def test_a_killed_clean_up_is_resumed(server: RedisServer, tmp_path: Path, left: int) -> None:
    async with _world(server, tmp_path) as world:
        due: list[FileRecord] = [upload_record(world.scope, size_bytes=3) for _ in range(_MANY)]
        kept: list[FileRecord] = [artifact_record(world.scope, size_bytes=5)]
        await world.committed(*due, ttl_ms=1)
        await world.committed(*kept, ttl_ms=LONG_MS)
        await world.until_due(_MANY)

        async def to_do() -> int:
            return int(await world.state.link.call("ZCARD", world.state.keys.upload_ends()))

        async def is_time() -> bool:
            return await to_do() <= left

        async def is_done() -> bool:
            return not await to_do() and len(files_below(world.root)) <= _AT_ONCE + 1

        await _killed_at(world, tmp_path, _periodic(Cleanup(), is_done), is_time)

        assert await world.state.files.used_bytes(world.scope) == UsedBytes(5, 5)
        age(world.root)
        await world.sweep()  # what the first one had no time to unlink
        assert files_below(world.root) == [place(record) for record in kept]


@killed_in_time
async def test_a_killed_sweep_is_resumed(server: RedisServer, tmp_path: Path) -> None:
    async with _world(server, tmp_path) as world:
        kept = upload_record(world.scope)
        orphans = [upload_record(new_id()) for _ in range(_MANY)]
        await world.committed(kept, ttl_ms=LONG_MS)
        await world.put(*orphans)
        age(world.root)

        async def is_time() -> bool:
            return len(list((world.root / "uploads/sessions").iterdir())) < _MANY // 2

        async def is_done() -> bool:
            return len(files_below(world.root)) == 1

        await _killed_at(world, tmp_path, _periodic(Sweep(), is_done), is_time)

        assert files_below(world.root) == [place(kept)]
        assert await world.state.files.get(world.scope, kept.id) == kept


@killed_in_time
async def test_a_killed_removal_of_a_scope_is_resumed(server: RedisServer, tmp_path: Path) -> None:
    async with _world(server, tmp_path) as world:
        ended = new_id()
        await world.put(*(upload_record(ended) for _ in range(_MANY)))
        folder = world.root / "uploads/sessions" / ended

        async def is_time() -> bool:
            return len(list(folder.iterdir())) < _MANY // 2

        done = await _killed_at(world, tmp_path, _once(RemoveScope(scope=ended)), is_time)

        assert isinstance(done, Removed)
        assert 0 < done.files < _MANY
        assert files_below(world.root) == []


@killed_in_time
async def test_an_upload_whose_worker_was_killed_while_it_evicted_is_finished(
    server: RedisServer, tmp_path: Path
) -> None:
    async with _world(server, tmp_path) as world:
        small = [upload_record(world.scope, size_bytes=1) for _ in range(_MANY)]
        await world.committed(*small, ttl_ms=LONG_MS)
        order = await upload_order(world.stores.blobs, world.scope, b"x" * _MANY)

        async def is_time() -> bool:
            return int(await world.state.link.call("HLEN", world.state.keys.files(world.scope))) == 1

        done = await _killed_at(world, tmp_path, _once(order), is_time, "0", "300", str(_MANY))

        assert isinstance(done, UploadsDone)
        assert await world.state.files.used_bytes(world.scope) == UsedBytes(_MANY, _MANY)
        age(world.root)
        await world.sweep()
        assert files_below(world.root) == [place(done.records[0])]


@pytest.mark.parametrize("finished", [1, 20])
async def test_redis_that_is_killed_loses_nothing_that_was_finished(
    own_server: RedisServer, tmp_path: Path, finished: int
) -> None:
    """Killed and started again from its append-only file while uploads come in and others are cleaned up."""
    async with _world(own_server, tmp_path) as world, opened_queue(world.state) as queue:
        await world.committed(*(upload_record(world.scope, size_bytes=1) for _ in range(_MANY)), ttl_ms=1)
        orders = [await upload_order(world.stores.blobs, world.scope, b"x" * 7, b"y" * 5) for _ in range(60)]
        done: list[UploadRecord] = []

        async def client(order: FinaliseUpload) -> None:
            try:
                outcome = await queue.run(order, timeout_s=20)
            except LongshoreError:
                return  # it was told that the outcome is unknown, or that there is none
            assert isinstance(outcome, UploadsDone)
            done.extend(outcome.records)

        with worker_process(own_server.url, world.root, tmp_path, "1"):
            await until_workers(world.state, 1)
            async with asyncio.TaskGroup() as group:
                for order in orders:
                    group.create_task(client(order))
                async with asyncio.timeout(20):
                    while len(done) < finished:
                        await asyncio.sleep(0)
                own_server.kill()
                await asyncio.sleep(0.2)
                own_server.start()
            async with asyncio.timeout(20):
                while any(item.kind == "u" for item in await world.state.due.batch(1)):
                    await asyncio.sleep(0.05)

        assert len(done) >= finished
        for record in done:
            assert await world.state.files.get(world.scope, record.id) == record
        await _is_exact(world)


async def _is_exact(world: World) -> None:
    """Bytes counted are bytes recorded, and after a sweep they are the bytes on disk; names too."""
    link, keys = world.state.link, world.state.keys
    ids = [file_id.decode() for file_id in await link.call("HKEYS", keys.files(world.scope))]
    records = [await world.state.files.get(world.scope, file_id) for file_id in ids]
    size = sum(record.size_bytes for record in records)
    assert await world.state.files.used_bytes(world.scope) == UsedBytes(size, size)
    age(world.root)
    await world.sweep()
    parts = [upload_parts(record.scope, record.id, record.stored_name) for record in records]
    assert files_below(world.root) == sorted("/".join(each) for each in parts)
