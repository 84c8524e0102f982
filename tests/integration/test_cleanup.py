"""Clean-up and sweep: due items expire, files without a record are removed, and all others stay."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from longshore.shared.errors import NotFound, Unavailable
from longshore.shared.ids import new_id
from longshore.shared.metrics import Metrics
from longshore.shared.records import FileRecord, UploadRecord
from longshore.shared.state.files import UsedBytes
from longshore.shared.storage.blobs import Move
from longshore.shared.storage.layout import artifact_parts, parts_of, upload_parts
from longshore.storage_worker.worker import running_worker
from tests.fixtures.storage import (
    RedisServer,
    artifact_record,
    files_below,
    opened_blobs,
    opened_state,
    staged,
    upload_record,
    worker_config,
)
from tests.fixtures.world import LONG_MS, World, age, opened_world, place


@pytest.fixture
async def world(server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(server.address, tmp_path) as opened:
        yield opened


async def test_due_files_are_removed_with_their_bytes_and_the_others_stay(world: World) -> None:
    scope = world.scope
    due: list[FileRecord] = [upload_record(scope, size_bytes=size) for size in (10, 20)]
    due.append(artifact_record(scope))
    kept: list[FileRecord] = [upload_record(scope, size_bytes=5), artifact_record(scope, size_bytes=7)]
    await world.committed(*due, ttl_ms=50)
    await world.committed(*kept, ttl_ms=LONG_MS)
    await world.until_due(3)

    removed = await world.cycle()

    assert removed == {"removed_uploads": 2, "removed_artifacts": 1}
    assert files_below(world.root) == sorted(place(record) for record in kept)
    assert await world.state.files.used_bytes(scope) == UsedBytes(12, 12)
    assert await world.cycle() == {}


async def test_one_cycle_removes_more_than_one_batch(world: World) -> None:
    records = [upload_record(world.scope, size_bytes=1) for _ in range(250)]
    await world.state.files.commit(world.scope, records, ttl_ms=20)
    await world.until_due(250)

    removed = await world.cycle()

    assert removed == {"removed_uploads": 250}
    assert await world.state.ends() == {}


async def test_workers_that_clean_up_at_once_count_each_file_once(world: World) -> None:
    await world.committed(*(upload_record(world.scope, size_bytes=3) for _ in range(60)), ttl_ms=50)
    await world.until_due(60)

    cycles = await asyncio.gather(*(world.cycle() for _ in range(4)))

    assert sum(cycle.get("removed_uploads", 0) for cycle in cycles) == 60
    assert await world.state.files.used_bytes(world.scope) == UsedBytes(0, 0)
    assert files_below(world.root) == []


async def test_a_file_that_is_used_while_clean_up_runs_is_either_kept_or_gone(world: World) -> None:
    """A caller that got the record can open the file: a use that comes first moves the expiry before clean-up looks."""
    records = [upload_record(world.scope, size_bytes=2) for _ in range(100)]
    for number, record in enumerate(records):
        await world.committed(record, ttl_ms=150 + 2 * number)
    used: list[UploadRecord] = []

    async def use(record: UploadRecord) -> None:
        await world.state.files.use(world.scope, [record.id], ttl_ms=LONG_MS)
        used.append(record)

    async def use_all() -> None:
        await asyncio.gather(*(use(record) for record in records), return_exceptions=True)

    await world.until_due(len(records) // 3)
    await asyncio.gather(use_all(), world.cycle(), world.cycle())

    for record in used:
        os.close(await world.stores.blobs.open_read(parts_of(record)))
    while await world.cycle():
        pass
    assert (await world.state.files.used_bytes(world.scope)).scope == 2 * len(used)


async def test_files_that_a_call_uses_outlast_their_end(world: World) -> None:
    used, other = upload_record(world.scope), upload_record(world.scope)
    await world.committed(used, other, ttl_ms=50)
    await world.state.files.use(world.scope, [used.id], lease="call", ttl_ms=50)
    await world.until_due(2)

    removed = await world.cycle()

    assert removed == {"removed_uploads": 1}
    assert files_below(world.root) == [place(used)]


async def test_a_pending_artifact_is_removed_after_its_grace_time(world: World) -> None:
    scope, artifact_id = world.scope, new_id()
    folder = world.root.joinpath(*artifact_parts(scope, artifact_id, "x")).parent
    folder.mkdir(parents=True)
    (folder / "half.png").write_bytes(b"half")
    await world.state.files.allocate_pending(scope, artifact_id, grace_ms=50)
    await world.until_due(1)

    removed = await world.cycle()

    assert removed == {"removed_orphan_files": 1}
    assert not folder.exists()


async def test_a_tombstone_takes_both_kinds_of_files_and_their_ends_with_it(world: World) -> None:
    link, keys = world.state.link, world.state.keys
    other = await world.state.open_session()
    await world.committed(upload_record(world.scope), artifact_record(world.scope), ttl_ms=LONG_MS)
    kept = artifact_record(other, size_bytes=7)
    await world.committed(kept, ttl_ms=LONG_MS)
    await link.call("HSET", keys.session(world.scope), "state", "expired")
    await link.call("ZADD", keys.due(), 1, f"t:{world.scope}")

    removed = await world.state.expiry.remove_tombstone(world.scope)
    ends = list(await world.state.ends())  # before the cursor finds what names no record
    age(world.root)
    await world.sweep()

    assert removed
    assert ends == [f"{other}:{kept.id}"]
    assert await world.state.files.used_bytes(world.scope) == UsedBytes(scope=0, total=7)
    assert files_below(world.root) == [place(kept)]


async def test_due_sessions_do_not_hide_the_files_behind_them(world: World) -> None:
    """Also if the index names sessions that have ended."""
    due = world.state.keys.due()
    for number in range(230):
        await world.state.link.call("ZADD", due, number + 1, f"s:session{number}")
    await world.committed(upload_record(world.scope), ttl_ms=20)
    await world.until_due(231)

    removed = await world.cycle()

    assert removed == {"removed_uploads": 1}
    assert await world.state.link.call("ZCARD", due) == 0


async def test_a_record_whose_file_is_missing_expires_all_the_same(world: World) -> None:
    record = upload_record(world.scope)
    await world.committed(record, ttl_ms=20)
    world.root.joinpath(*parts_of(record)).unlink()
    await world.until_due(1)

    assert await world.cycle() == {"removed_uploads": 1}


async def test_records_whose_file_is_missing_are_found(world: World) -> None:
    kept: list[FileRecord] = [upload_record(world.scope), artifact_record(world.scope)]
    lost: list[FileRecord] = [upload_record(world.scope, size_bytes=7), artifact_record(world.scope, size_bytes=9)]
    await world.committed(*kept, *lost, ttl_ms=LONG_MS)
    for record in lost:
        world.root.joinpath(*parts_of(record)).unlink()

    cycles = [await world.cycle() for _ in range(2)]

    assert cycles == [{"removed_dangling_upload_records": 1, "removed_dangling_artifact_records": 1}, {}]
    assert await world.state.files.used_bytes(world.scope) == UsedBytes(200, 200)
    assert len(await world.state.ends()) == 2


async def test_a_cycle_checks_a_few_records_and_the_next_checks_others(world: World) -> None:
    """Of 3,000 records without file, each cycle finds some hundreds, until every one is found."""
    for _ in range(6):
        records = [upload_record(world.scope, size_bytes=1) for _ in range(500)]
        await world.state.files.commit(world.scope, records, ttl_ms=LONG_MS)

    found = [(await world.cycle()).get("removed_dangling_upload_records", 0)]
    while sum(found) < 3000:
        found.append((await world.cycle())["removed_dangling_upload_records"])

    assert max(found) <= 500
    assert await world.state.files.used_bytes(world.scope) == UsedBytes(0, 0)


async def test_workers_that_look_for_lost_files_at_once_count_each_once(world: World) -> None:
    records = [upload_record(world.scope, size_bytes=1) for _ in range(400)]
    await world.state.files.commit(world.scope, records, ttl_ms=LONG_MS)

    cycles = await asyncio.gather(*(world.cycle() for _ in range(4)))
    while more := await world.cycle():
        cycles.append(more)

    assert sum(cycle.get("removed_dangling_upload_records", 0) for cycle in cycles) == 400
    assert await world.state.files.used_bytes(world.scope) == UsedBytes(0, 0)


async def test_a_volume_that_is_not_mounted_costs_no_record(world: World) -> None:
    record = upload_record(world.scope)
    await world.committed(record, ttl_ms=LONG_MS)
    (world.root / "uploads").rename(world.root / "elsewhere")

    with pytest.raises(Unavailable, match="mount"):
        await world.cycle()

    assert await world.state.files.get(world.scope, record.id) == record


async def test_entries_without_record_are_forgotten(world: World) -> None:
    await world.state.link.call("ZADD", world.state.keys.upload_ends(), 1e15, "gone:file", 1e15 + 1, "gone:too")

    await world.cycle()

    assert await world.state.ends() == {}


async def test_a_sweep_removes_files_without_a_record_and_no_others(world: World) -> None:
    scope, pending = world.scope, new_id()
    kept: list[FileRecord] = [upload_record(scope), artifact_record(scope)]
    await world.committed(*kept, ttl_ms=LONG_MS)
    await world.state.files.allocate_pending(scope, pending, grace_ms=LONG_MS)
    root, blobs = world.root, world.stores.blobs
    await staged(blobs, b"left by a client that broke off")
    outside = [root / "out/tool.txt", root / "state/db", root / "uploads/other.txt", root / "top.txt"]
    orphans = [
        root.joinpath(*upload_parts(scope, new_id(), "a")), root.joinpath(*artifact_parts(scope, new_id(), "b")),
        root.joinpath(*upload_parts("gone" * 8, new_id(), "c")), root / "uploads/sessions/stray.txt",
        root / "artifacts/sessions" / scope / "stray.txt",
    ]
    tool = root.joinpath(*artifact_parts(scope, pending, "being-written"))
    for path in (*outside, *orphans, tool):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    age(root)

    removed = await world.sweep()

    assert removed == 6
    assert sorted(root / name for name in files_below(root)) == sorted(
        [*(root.joinpath(*parts_of(record)) for record in kept), tool, root / "uploads/other.txt"]
    )
    assert all(path.exists() for path in outside)
    assert await world.sweep() == 0


async def test_a_sweep_keeps_entries_within_the_grace_time(world: World) -> None:
    await staged(world.stores.blobs, b"on its way in")
    young = world.root.joinpath(*upload_parts(world.scope, new_id(), "a"))
    young.parent.mkdir(parents=True)
    young.write_bytes(b"its record comes next")

    assert await world.sweep() == 0


async def test_a_sweep_follows_no_link(world: World) -> None:
    victim = world.root / "keep"
    victim.mkdir()
    (victim / "x.txt").write_bytes(b"keep")
    sessions = world.root / "uploads/sessions"
    (sessions / "linked-scope").symlink_to(victim)
    (sessions / world.scope).mkdir()
    (sessions / world.scope / "linked-file").symlink_to(victim / "x.txt")
    (world.root / "staging/linked").symlink_to(victim)
    age(world.root)

    await world.sweep()

    assert (victim / "x.txt").read_bytes() == b"keep"
    assert files_below(world.root) == []


async def test_empty_folders_go(world: World) -> None:
    for scope in ("a" * 32, "b" * 32):
        (world.root / "uploads/sessions" / scope / new_id()).mkdir(parents=True)
        (world.root / "artifacts/sessions" / scope).mkdir(parents=True)
    age(world.root)

    for _ in range(2):
        await world.sweep()

    assert list((world.root / "uploads/sessions").iterdir()) == []
    assert list((world.root / "artifacts/sessions").iterdir()) == []


async def test_a_sweep_in_slices_finds_every_orphan(world: World) -> None:
    for number in range(450):
        path = world.root.joinpath(*upload_parts(f"scope{number % 3}" * 4, new_id(), "a"))
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    age(world.root)

    assert await world.sweep() == 450


async def test_a_name_that_redis_cannot_know_is_an_orphan(world: World) -> None:
    os.makedirs(os.fsencode(world.root) + b"/uploads/sessions/" + world.scope.encode() + b"/bad\xff")
    age(world.root)

    await world.sweep()

    assert not (world.root / "uploads/sessions" / world.scope).exists()


async def test_workers_clean_up_by_themselves_and_count_it(server: RedisServer, tmp_path: Path) -> None:
    """Two workers, an interval of a second: the file is gone soon, and was counted by one of them."""
    metrics = [Metrics(), Metrics()]
    config = worker_config(server.url, tmp_path, cleanup_interval_s=1)
    async with (
        opened_state(server.address) as state, opened_blobs(tmp_path) as blobs,
        running_worker(config, metrics[0].worker), running_worker(config, metrics[1].worker),
    ):
        scope = await state.open_session()
        record = msgspec.structs.replace(upload_record(scope), size_bytes=1)
        file = await staged(blobs, b"x")
        await blobs.move_in([Move(file.staged_name, parts_of(record))])
        await state.files.commit(scope, [record], ttl_ms=50)
        async with asyncio.timeout(10):
            while files_below(tmp_path):
                await asyncio.sleep(0.05)

    labels = {"server_id": "global", "bucket": "removed_uploads"}
    counts = [m.registry.get_sample_value("adapter_cleanup_removed_records_total", labels) or 0 for m in metrics]
    assert sum(counts) == 1


async def test_a_failure_to_unlink_does_not_affect_other_files(world: World) -> None:
    """A session's folder was swapped for a link, which is not followed; the files of another session are removed."""
    other = await world.state.open_session()
    stuck, neighbour = upload_record(world.scope), upload_record(other)
    await world.committed(stuck, ttl_ms=20)
    await world.committed(neighbour, ttl_ms=20)
    mine = world.root / "uploads/sessions" / world.scope
    mine.rename(world.root / "elsewhere")
    mine.symlink_to(world.root / "elsewhere")
    await world.until_due(2)

    removed = await world.cycle()

    assert removed == {"removed_uploads": 2}
    assert [path.name for path in mine.parent.iterdir()] == [world.scope]
    assert [path.name for path in (world.root / "elsewhere").rglob("a.txt")] == ["a.txt"]
    age(world.root)
    assert await world.sweep() == 1


async def test_a_scope_is_removed_while_a_file_is_moved_into_it(world: World) -> None:
    """A file that finds its folder removed on its way in stays in staging, for its own job to discard."""
    blobs, scope = world.stores.blobs, world.scope
    for _ in range(20):
        files = [await staged(blobs, b"x") for _ in range(10)]
        moves = [Move(file.staged_name, upload_parts(scope, file.id, "a.txt")) for file in files]

        moving = asyncio.gather(*(blobs.move_in([move]) for move in moves), return_exceptions=True)
        await asyncio.gather(*(blobs.remove_scope(scope) for _ in range(8)))
        assert {type(outcome) for outcome in await moving} <= {type(None), NotFound}

    await blobs.remove_scope(scope)
    assert [path for path in files_below(world.root) if not path.startswith("staging/")] == []


async def test_files_of_a_newer_longshore_are_left_to_it_and_cleaned_up_all_the_same(world: World) -> None:
    state, link, newer = world.state, world.state.link, b"\x83\xa4type\x63\xa2id\xa3new\xaasize_bytes\x07"
    known = upload_record(world.scope, size_bytes=5)
    await world.committed(known, ttl_ms=LONG_MS)
    await link.call("HSET", state.keys.files(world.scope), "new", newer)
    await link.call("INCRBY", state.keys.used_bytes(world.scope), 7)
    await link.call("INCRBY", state.keys.used_total(), 7)
    await link.call("ZADD", state.keys.upload_ends(), 1e15, f"{world.scope}:new")

    early = await world.cycle()
    await link.call("ZADD", state.keys.upload_ends(), 1, f"{world.scope}:new")
    late = await world.cycle()

    assert (early, late) == ({}, {"removed_uploads": 1})
    assert await state.files.used_bytes(world.scope) == UsedBytes(5, 5)
