"""Job that makes uploads visible: all or none, with the same result each time it runs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from longshore.shared.errors import Forbidden, LongshoreError, NotFound, SessionGone
from longshore.shared.jobs import FinaliseUpload, Removed, RemoveScope, StagedFile, UploadsDone
from longshore.shared.state.files import UsedBytes
from longshore.shared.storage.layout import upload_parts
from longshore.storage_worker.jobs.finalise_upload import finalise_upload
from longshore.storage_worker.jobs.remove_scope import remove_scope
from tests.fixtures.storage import RedisServer, files_below, sha256, staged, upload_order
from tests.fixtures.world import World, opened_world


@pytest.fixture
async def world(server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(server.address, tmp_path) as opened:
        yield opened


async def _run(world: World, order: FinaliseUpload) -> UploadsDone:
    done = await finalise_upload.work(world.stores, order)
    assert isinstance(done, UploadsDone)
    return done


async def _nothing_is_left(world: World) -> bool:
    used = await world.state.files.used_bytes(world.scope)
    listed = await world.state.link.call("EXISTS", world.state.keys.files(world.scope), world.state.keys.due())
    return not files_below(world.root) and used == UsedBytes(0, 0) and listed == 0 and not await world.state.ends()


async def test_a_batch_becomes_visible_with_its_bytes_charged(world: World) -> None:
    order = await upload_order(world.stores.blobs, world.scope, b"one", b"\x89PNG\r\n\x1a\n" + b"\0" * 8)

    done = await _run(world, order)

    assert [record.media_type for record in done.records] == ["text/plain", "image/png"]
    assert [record.sha256 for record in done.records] == [file.sha256 for file in order.files]
    assert await world.state.files.use(world.scope, [f.id for f in order.files], ttl_ms=1) == done.records
    assert await world.state.files.used_bytes(world.scope) == UsedBytes(scope=19, total=19)
    for record in done.records:
        content = world.root.joinpath(*upload_parts(world.scope, record.id, record.stored_name)).read_bytes()
        assert sha256(content) == record.sha256


async def test_running_again_changes_nothing(world: World) -> None:
    order = await upload_order(world.stores.blobs, world.scope, b"one", b"two")

    runs = [await _run(world, order) for _ in range(3)]

    assert runs[0] == runs[1] == runs[2]
    assert (await world.state.files.used_bytes(world.scope)).scope == 6


async def test_two_concurrent_runs_change_nothing(world: World) -> None:
    for _ in range(10):
        order = await upload_order(world.stores.blobs, world.scope, b"x" * 10, b"y" * 10)

        await asyncio.gather(_run(world, order), _run(world, order), _run(world, order))

    assert (await world.state.files.used_bytes(world.scope)).scope == 200
    assert len(files_below(world.root)) == 20


async def test_a_run_that_was_interrupted_after_moving_is_resumed(world: World) -> None:
    order = await upload_order(world.stores.blobs, world.scope, b"one", b"two")
    first = order.files[0]
    target = world.root.joinpath(*upload_parts(world.scope, first.id, first.stored_name))
    target.parent.mkdir(parents=True)
    (world.root / "staging" / first.staged_name).rename(target)

    done = await _run(world, order)

    assert len(done.records) == 2
    assert (await world.state.files.used_bytes(world.scope)).scope == 6


async def test_a_run_after_one_of_its_files_was_dropped_commits_nothing_anew(world: World) -> None:
    """The process that dropped the record is about to unlink the file: a new record would point at nothing."""
    order = await upload_order(world.stores.blobs, world.scope, b"one", b"seven77")
    done = await _run(world, order)
    await world.state.files.drop(world.scope, order.files[0].id)

    with pytest.raises(NotFound, match="gone again"):
        await _run(world, order)

    kept = done.records[1]
    assert await world.state.files.which_exist(world.scope, [file.id for file in order.files]) == [False, True]
    assert await world.state.files.used_bytes(world.scope) == UsedBytes(7, 7)
    assert files_below(world.root) == ["/".join(upload_parts(world.scope, kept.id, kept.stored_name))]


async def test_one_file_that_is_short_refuses_the_whole_batch(world: World) -> None:
    order = await upload_order(world.stores.blobs, world.scope, b"one", b"two", b"three")
    (world.root / "staging" / order.files[1].staged_name).write_bytes(b"t")

    with pytest.raises(NotFound):
        await _run(world, order)

    assert await _nothing_is_left(world)


async def test_one_missing_file_refuses_the_whole_batch(world: World) -> None:
    order = await upload_order(world.stores.blobs, world.scope, b"one", b"two")
    (world.root / "staging" / order.files[1].staged_name).unlink()

    with pytest.raises(NotFound):
        await _run(world, order)

    assert await _nothing_is_left(world)


async def test_a_session_that_ended_meanwhile_keeps_no_file(world: World) -> None:
    order = await upload_order(world.stores.blobs, world.scope, b"one", b"two")
    await world.state.end_session(world.scope)

    with pytest.raises(SessionGone):
        await _run(world, order)

    assert await _nothing_is_left(world)


async def test_a_session_that_ends_between_two_runs_does_not_lose_what_was_committed(world: World) -> None:
    """The end of a session removes the records, and its own job unlinks the files; a refused upload does not."""
    order = await upload_order(world.stores.blobs, world.scope, b"one")
    await _run(world, order)
    await world.state.end_session(world.scope)

    with pytest.raises(SessionGone):
        await _run(world, order)

    assert len(files_below(world.root)) == 1
    assert (await world.state.files.used_bytes(world.scope)).scope == 3


@pytest.mark.parametrize("field, value", [("staged_name", "../x"), ("stored_name", "../../x"), ("stored_name", "")])
async def test_a_forged_order_reaches_nothing_outside(world: World, field: str, value: str) -> None:
    order = await upload_order(world.stores.blobs, world.scope, b"one")
    forged: StagedFile = msgspec.structs.replace(order.files[0], **{field: value})
    outside = world.root / "x"
    outside.write_bytes(b"one")

    with pytest.raises(LongshoreError):
        await _run(world, FinaliseUpload(scope=world.scope, server="s1", files=[forged]))

    assert outside.read_bytes() == b"one"


async def test_a_staged_file_that_is_a_link_is_refused(world: World) -> None:
    file = await staged(world.stores.blobs, b"secret")
    secret = world.root / "secret"
    secret.write_bytes(b"secret")
    (world.root / "staging" / file.staged_name).unlink()
    (world.root / "staging" / file.staged_name).symlink_to(secret)

    with pytest.raises(Forbidden):
        await _run(world, FinaliseUpload(scope=world.scope, server="s1", files=[file]))

    assert secret.read_bytes() == b"secret"
    assert await _nothing_is_left(world)


async def test_a_scope_s_files_are_unlinked_once_its_session_has_ended(world: World) -> None:
    await _run(world, await upload_order(world.stores.blobs, world.scope, b"one", b"two"))

    while_live = await remove_scope.work(world.stores, RemoveScope(scope=world.scope))
    await world.state.end_session(world.scope)
    after = [await remove_scope.work(world.stores, RemoveScope(scope=world.scope)) for _ in range(2)]

    assert [while_live, *after] == [Removed(files=0), Removed(files=2), Removed(files=0)]
    assert files_below(world.root) == []
