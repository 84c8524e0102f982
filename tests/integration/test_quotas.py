"""Limits on bytes and artifacts: the least recently used files are evicted, files in use never."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from longshore.shared.errors import BadRequest, NotFound, OverQuota
from longshore.shared.ids import new_id
from longshore.shared.jobs import Candidate, FinaliseArtifact
from longshore.shared.records import ArtifactRecord, FileRecord, UploadRecord
from longshore.shared.state.files import FileGone, UsedBytes
from longshore.shared.state.quota import FileLimits
from longshore.storage_worker.commit import commit
from longshore.storage_worker.jobs.finalise_artifact import finalise_artifact
from longshore.storage_worker.jobs.finalise_upload import finalise_upload
from tests.fixtures.storage import RedisServer, artifact_record, files_below, upload_order, upload_record
from tests.fixtures.world import LONG_MS, World, opened_world, place

Opened = Callable[[FileLimits], AbstractAsyncContextManager[World]]


@pytest.fixture
def world(server: RedisServer, tmp_path: Path) -> Opened:
    return lambda limits: opened_world(server.address, tmp_path, limits)


async def _one_by_one(world: World, records: Sequence[FileRecord]) -> None:
    """Committed so that each was used later than the one before."""
    for record in records:
        assert (await world.committed(record, ttl_ms=LONG_MS)).evicted == []
        await asyncio.sleep(0.002)


async def _left(world: World, records: Sequence[FileRecord]) -> list[int]:
    """Return the positions of the `records` that still exist."""
    known = [await world.state.files.which_exist(record.scope, [record.id]) for record in records]
    return [n for n, (there,) in enumerate(known) if there]


def _mixed(scope: str) -> list[FileRecord]:
    """Files of 10 bytes, artifacts and uploads in turn."""
    return [(artifact_record if n % 2 == 0 else upload_record)(scope, size_bytes=10) for n in range(6)]


@pytest.mark.parametrize(
    "uploads_go_first, wanted, gone",
    [(True, 10, [1]), (True, 40, [0, 1, 3, 5]), (False, 10, [0]), (False, 30, [0, 2, 4])],
)
async def test_the_kind_and_then_the_use_decide_what_gives_way(
    world: Opened, uploads_go_first: bool, wanted: int, gone: list[int]
) -> None:
    async with world(FileLimits(session_bytes=60, evicts_uploads_first=uploads_go_first)) as w:
        files = _mixed(w.scope)
        await _one_by_one(w, files)
        new = upload_record(w.scope, size_bytes=wanted)
        await w.put(new)

        stored = await commit(w.stores, w.scope, [new])

        assert stored == [new]
        kept = [record for n, record in enumerate(files) if n not in gone]
        assert files_below(w.root) == sorted(map(place, [*kept, new]))
        assert await w.state.files.used_bytes(w.scope) == UsedBytes(60, 60)
        assert len(await w.state.ends()) == len(kept) + 1


async def test_a_use_puts_a_file_behind_the_others(world: Opened) -> None:
    async with world(FileLimits(session_bytes=30, upload_ttl_ms=LONG_MS)) as w:
        files = [upload_record(w.scope, size_bytes=10) for _ in range(3)]
        await _one_by_one(w, files)

        await w.state.files.use(w.scope, [files[0].id])
        await w.state.files.commit(w.scope, [upload_record(w.scope, size_bytes=10)])

        assert await _left(w, files) == [0, 2]


async def test_files_without_end_give_way_in_the_order_of_their_use(world: Opened) -> None:
    async with world(FileLimits(session_bytes=30)) as w:
        files = [upload_record(w.scope, size_bytes=10) for _ in range(3)]
        for record in files:
            await w.state.files.commit(w.scope, [record])
            await asyncio.sleep(0.002)

        await w.state.files.use(w.scope, [files[0].id])
        await w.state.files.commit(w.scope, [upload_record(w.scope, size_bytes=10)])

        assert await _left(w, files) == [0, 2]


async def test_a_file_that_a_call_uses_never_gives_way(world: Opened) -> None:
    async with world(FileLimits(session_bytes=30)) as w:
        files = [upload_record(w.scope, size_bytes=10) for _ in range(3)]
        await _one_by_one(w, files)
        await w.state.files.use(w.scope, [files[0].id, files[1].id], lease="call")

        with pytest.raises(OverQuota, match="20 bytes do not fit: 20 of 30"):
            await w.state.files.commit(w.scope, [upload_record(w.scope, size_bytes=20)])
        untouched = await _left(w, files)
        await w.state.files.commit(w.scope, [upload_record(w.scope, size_bytes=10)])

        assert untouched == [0, 1, 2]
        assert await _left(w, files) == [0, 1]


async def test_a_batch_that_does_not_fit_leaves_everything_as_it_was(world: Opened) -> None:
    async with world(FileLimits(session_bytes=30)) as w:
        files = [upload_record(w.scope, size_bytes=10) for _ in range(3)]
        await _one_by_one(w, files)

        with pytest.raises(OverQuota, match="31 bytes do not fit"):
            await w.state.files.commit(w.scope, [upload_record(w.scope, size_bytes=size) for size in (30, 1)])

        assert await _left(w, files) == [0, 1, 2]
        assert await w.state.files.used_bytes(w.scope) == UsedBytes(30, 30)


async def test_the_whole_storage_makes_room_in_any_session(world: Opened) -> None:
    async with world(FileLimits(total_bytes=40)) as w:
        scopes = [await w.state.open_session() for _ in range(4)]
        files: list[FileRecord] = [upload_record(scope, size_bytes=10) for scope in scopes[:3]]
        files.append(artifact_record(scopes[3], size_bytes=10))
        await _one_by_one(w, files)
        await w.state.files.use(scopes[0], [files[0].id], lease="call")
        new = upload_record(scopes[2], size_bytes=20)
        await w.put(new)

        await commit(w.stores, scopes[2], [new])

        assert await _left(w, files) == [0, 3]
        assert files_below(w.root) == sorted(map(place, [files[0], files[3], new]))
        assert [(await w.state.files.used_bytes(scope)).scope for scope in scopes] == [10, 0, 20, 10]
        assert (await w.state.files.used_bytes(w.scope)).total == 40
        assert await w.state.link.call("EXISTS", w.state.keys.used_bytes(scopes[1])) == 0


async def test_a_large_file_replaces_thousands_of_small_ones(world: Opened) -> None:
    async with world(FileLimits(total_bytes=2500)) as w:
        small = [upload_record(w.scope, size_bytes=1) for _ in range(2500)]
        for start in range(0, 2500, 500):
            await w.state.files.commit(w.scope, small[start:start + 500])

        stored = await commit(w.stores, w.scope, [upload_record(w.scope, size_bytes=2500)])

        assert len(stored) == 1
        assert await w.state.files.used_bytes(w.scope) == UsedBytes(2500, 2500)
        assert len(await w.state.ends()) == 1


async def test_the_oldest_artifact_gives_way_to_one_too_many(world: Opened) -> None:
    async with world(FileLimits(session_artifacts=2)) as w:
        files: list[FileRecord] = [upload_record(w.scope), artifact_record(w.scope), artifact_record(w.scope)]
        await _one_by_one(w, files)
        new = artifact_record(w.scope)
        await w.put(new)

        await commit(w.stores, w.scope, [new])

        assert await _left(w, [*files, new]) == [0, 2, 3]
        assert files_below(w.root) == sorted(map(place, [files[0], files[2], new]))


async def test_artifacts_that_calls_use_refuse_one_too_many(world: Opened) -> None:
    async with world(FileLimits(session_artifacts=1)) as w:
        used = artifact_record(w.scope)
        await w.state.files.commit(w.scope, [used])
        await w.state.files.use(w.scope, [used.id], lease="call")

        with pytest.raises(OverQuota, match="1 artifacts are the limit"):
            await w.state.files.commit(w.scope, [artifact_record(w.scope)])

        assert await w.state.files.list_artifacts(w.scope) == [used]


async def test_racing_commits_never_pass_a_limit(world: Opened) -> None:
    """Two hundred files from four sessions, some held by calls meanwhile: every limit holds at every moment."""
    limits = FileLimits(session_bytes=1000, total_bytes=3000, session_artifacts=5)
    async with world(limits) as w:
        scopes = [await w.state.open_session() for _ in range(4)]
        seen: list[bool] = []

        async def one(number: int) -> None:
            scope = scopes[number % 4]
            make = artifact_record if number % 3 else upload_record
            record = make(scope, size_bytes=50 + number)
            try:
                await w.state.files.commit(scope, [record])
                await w.state.files.use(scope, [record.id], lease=f"call{number}")
            except (OverQuota, FileGone):
                return
            used = await w.state.files.used_bytes(scope)
            artifacts = await w.state.files.list_artifacts(scope)
            seen.append(used.scope <= 1000 and used.total <= 3000 and len(artifacts) <= 5)
            w.state.files.release_uses(scope, f"call{number}", [record.id])

        await asyncio.gather(*map(one, range(200)))

        assert seen
        assert all(seen)
        total = (await w.state.files.used_bytes(w.scope)).total
        assert total == sum([(await w.state.files.used_bytes(scope)).scope for scope in scopes])


async def test_a_commit_that_is_repeated_evicts_once(world: Opened) -> None:
    async with world(FileLimits(session_bytes=20)) as w:
        files = [upload_record(w.scope, size_bytes=10) for _ in range(2)]
        await _one_by_one(w, files)
        new = upload_record(w.scope, size_bytes=10)

        commits = [await w.state.files.commit(w.scope, [new]) for _ in range(3)]

        assert [len(done.evicted) for done in commits] == [1, 0, 0]
        assert all(done.stored == [new] for done in commits)
        assert await _left(w, files) == [1]


async def test_jobs_that_run_again_while_their_files_give_way_leave_no_record_without_file(world: Opened) -> None:
    """Twelve uploads of which three fit, each run again and again beside the others' evictions."""
    async with world(FileLimits(session_bytes=30)) as made:
        orders = [await upload_order(made.stores.blobs, made.scope, b"x" * 10) for _ in range(12)]

        for _ in range(4):
            runs = [finalise_upload.work(made.stores, order) for order in orders for _ in range(3)]
            ends = await asyncio.gather(*runs, return_exceptions=True)
            assert [end for end in ends if isinstance(end, BaseException) and not isinstance(end, NotFound)] == []

        ids = [order.files[0].id for order in orders]
        left = [n for n, known in enumerate(await made.state.files.which_exist(made.scope, ids)) if known]
        records = await made.state.files.use(made.scope, [ids[n] for n in left])
        assert files_below(made.root) == sorted(place(record) for record in records)
        assert await made.state.files.used_bytes(made.scope) == UsedBytes(10 * len(left), 10 * len(left))


async def test_an_empty_file_fits_where_nothing_else_does(world: Opened) -> None:
    async with world(FileLimits(session_bytes=0)) as w:
        await w.state.files.commit(w.scope, [upload_record(w.scope, size_bytes=0)])

        with pytest.raises(OverQuota):
            await w.state.files.commit(w.scope, [upload_record(w.scope, size_bytes=1)])


@pytest.mark.parametrize("size_bytes", [-1, 2**53, 2**64, -(2**70)])
async def test_sizes_that_no_file_has_are_refused(world: Opened, size_bytes: int) -> None:
    async with world(FileLimits()) as w:
        with pytest.raises(BadRequest, match="bytes"):
            await w.state.files.commit(w.scope, [upload_record(w.scope, size_bytes=size_bytes)])

        assert await w.state.files.used_bytes(w.scope) == UsedBytes(0, 0)


async def test_an_upload_over_the_quota_leaves_nothing(world: Opened) -> None:
    async with world(FileLimits(session_bytes=10)) as w:
        order = await upload_order(w.stores.blobs, w.scope, b"12345", b"678901")

        with pytest.raises(OverQuota):
            await finalise_upload.work(w.stores, order)

        assert files_below(w.root) == []
        assert await w.state.files.used_bytes(w.scope) == UsedBytes(0, 0)


async def test_an_artifact_over_the_quota_leaves_nothing(world: Opened) -> None:
    async with world(FileLimits(session_bytes=10)) as w:
        artifact_id = new_id()
        await w.state.files.allocate_pending(w.scope, artifact_id, grace_ms=LONG_MS)
        source = w.root / "out.txt"
        source.write_bytes(b"more than fits")
        order = FinaliseArtifact(
            scope=w.scope, server="s1", artifact_id=artifact_id, tool="t", not_before_ns=0, expose=True,
            candidates=[Candidate(source="located", path=str(source))],
        )

        with pytest.raises(OverQuota):
            await finalise_artifact.work(w.stores, order)

        assert files_below(w.root) == []
        assert await w.state.files.which_exist(w.scope, [artifact_id]) == [False]
        assert source.exists()


def test_what_can_never_fit_is_known_without_asking() -> None:
    limits = FileLimits(session_bytes=100, total_bytes=50)

    limits.check_possible(50)
    with pytest.raises(OverQuota, match="51 bytes do not fit: 0 of 50"):
        limits.check_possible(51)


def test_each_kind_has_its_time() -> None:
    limits = FileLimits(upload_ttl_ms=1, artifact_ttl_ms=2)
    upload: UploadRecord = upload_record("s")
    artifact: ArtifactRecord = artifact_record("s")

    assert (limits.ttl_ms(upload), limits.ttl_ms(artifact)) == (1, 2)
