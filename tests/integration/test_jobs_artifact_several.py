"""Calls that write several files: each becomes an artifact, or the reason against it is reported."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.shared.errors import OverQuota, SessionGone
from longshore.shared.ids import new_id
from longshore.shared.jobs import MAX_FILES, ArtifactDone, Candidate, FinaliseArtifact, NothingFound
from longshore.shared.state.files import UsedBytes
from longshore.shared.state.quota import FileLimits
from longshore.storage_worker.jobs.finalise_artifact import finalise_artifact
from tests.fixtures.capture_world import PNG, CaptureWorld, injected, located, nothing_is_left, opened_capture_world
from tests.fixtures.storage import RedisServer, files_below


@pytest.fixture(params=[FileLimits()], ids=["unlimited"])
async def world(server: RedisServer, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[CaptureWorld]:
    async with opened_capture_world(server.address, tmp_path, limits=request.param) as made:
        yield made


async def _done(world: CaptureWorld, order: FinaliseArtifact) -> ArtifactDone:
    outcome = await finalise_artifact.work(world.stores, order)
    assert isinstance(outcome, ArtifactDone), outcome
    return outcome


def _names(done: ArtifactDone) -> list[str]:
    return [record.name for record in (done.record, *done.more)]


def _made(world: CaptureWorld, *names: str) -> list[Candidate]:
    """Files of these names elsewhere in the storage, each a candidate with an id of its own."""
    folder = world.root / "out"
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [located(folder / name, new_id()) for name in names]


async def _all_is_stored(world: CaptureWorld, done: ArtifactDone) -> bool:
    records = [done.record, *done.more]
    kept = await world.state.files.find(world.scope, [record.id for record in records])
    size_bytes = sum(record.size_bytes for record in records)
    below = [name for name in files_below(world.root) if name.startswith("artifacts/")]
    return (
        kept == records and len(below) == len(records)
        and await world.state.files.used_bytes(world.scope) == UsedBytes(size_bytes, size_bytes)
        and all(len(world.stored(record)) == record.size_bytes for record in records)
    )


async def test_every_file_beside_the_injected_path_is_kept_that_one_first(world: CaptureWorld) -> None:
    for name in ("a.txt", "shot.png", "z"):
        (world.folder / name).write_bytes(PNG if name != "a.txt" else b"text")
    (world.folder / ".hidden").write_bytes(b"x")
    (world.folder / "folder").mkdir()
    (world.folder / "link.txt").symlink_to("/etc/passwd")

    done = await _done(world, world.order(injected(world, "shot.png"), spare_ids=5))

    assert _names(done) == ["shot.png", "a.txt", "z.png"]
    assert done.record.id == world.artifact_id
    assert [world.stored(record) for record in done.more] == [b"text", PNG]
    assert done.refusals == []


async def test_a_file_is_not_overwritten_by_the_one_whose_extension_was_missing(world: CaptureWorld) -> None:
    (world.folder / "shot").write_bytes(PNG)
    (world.folder / "shot.png").write_bytes(PNG + b"another")

    done = await _done(world, world.order(injected(world, "shot", name="shot"), spare_ids=5))

    assert _names(done) == ["shot.png", "shot.png"]
    assert [record.size_bytes for record in (done.record, *done.more)] == [len(PNG), len(PNG) + 7]
    assert await _all_is_stored(world, done)


async def test_every_named_file_is_kept_in_their_order_and_each_once(world: CaptureWorld) -> None:
    (world.folder / "shot.png").write_bytes(PNG)
    places = [located(world.folder / "shot.png", new_id()), *_made(world, "b.txt", "a.txt")]
    (world.root / "out" / "same.txt").hardlink_to(world.root / "out" / "b.txt")

    order = world.order(
        injected(world, "shot.png"), *places, located(world.root / "out" / "same.txt", new_id()), spare_ids=5
    )
    done = await _done(world, order)

    assert _names(done) == ["shot.png", "b.txt", "a.txt"]
    assert await _all_is_stored(world, done)


async def test_fallbacks_are_used_if_nothing_else_was_found(world: CaptureWorld) -> None:
    sure, fallback = _made(world, "sure.txt", "fallback.txt")
    later = Candidate(source="located", path=fallback.path, name="fallback.txt", artifact_id=new_id(), is_fallback=True)

    both = await _done(world, world.order(later, sure))
    alone = await _done(world, world.order(located(world.root / "missing", new_id()), later))

    assert (_names(both), _names(alone)) == (["sure.txt"], ["fallback.txt"])


async def test_a_missing_expected_file_is_reported_beside_the_captured_ones(world: CaptureWorld) -> None:
    [made] = _made(world, "a.txt")
    sure = Candidate(source="located", path="/etc/passwd", name="x", artifact_id=new_id(), is_sure=True)
    guess = Candidate(source="located", path="/etc/hosts", name="x", artifact_id=new_id())

    done = await _done(world, world.order(sure, guess, made))

    [refusal] = done.refusals
    assert "outside the storage" in refusal
    assert await _all_is_stored(world, done)


async def test_files_beyond_the_limit_are_reported(world: CaptureWorld) -> None:
    for n in range(MAX_FILES + 7):
        (world.folder / f"{n:03}.txt").write_bytes(b"x")

    done = await _done(world, world.order(injected(world, "000.txt"), *_made(world, "a", "b"), spare_ids=MAX_FILES))

    assert len(_names(done)) == MAX_FILES
    [refusal] = done.refusals
    assert refusal.startswith("9 more")


@pytest.mark.parametrize("world", [FileLimits(session_bytes=12), FileLimits(session_artifacts=2)], indirect=True)
async def test_the_last_ones_are_left_out_where_there_is_no_room_for_all(world: CaptureWorld) -> None:
    order = world.order(*_made(world, "first1", "2nd", "third", "fourth"))

    done = await _done(world, order)

    assert _names(done) == ["first1.txt", "2nd.txt"]
    assert [refusal.split(":")[0] for refusal in done.refusals] == ["fourth.txt", "third.txt"]
    assert await _all_is_stored(world, done)


@pytest.mark.parametrize("world", [FileLimits(session_bytes=3)], indirect=True)
async def test_a_first_file_without_room_leaves_nothing(world: CaptureWorld) -> None:
    (world.folder / "a").write_bytes(b"large")
    (world.folder / "b").write_bytes(b"small")

    with pytest.raises(OverQuota):
        await finalise_artifact.work(world.stores, world.order(injected(world, "a"), spare_ids=3))

    assert files_below(world.root) == []
    assert await nothing_is_left(world)


async def test_a_session_that_ended_meanwhile_keeps_none_of_several(world: CaptureWorld) -> None:
    (world.folder / "a").write_bytes(b"a")
    (world.folder / "b").write_bytes(b"b")
    await world.state.end_session(world.scope)

    with pytest.raises(SessionGone):
        await finalise_artifact.work(world.stores, world.order(injected(world, "a"), *_made(world, "c"), spare_ids=3))

    assert files_below(world.root) == []
    assert await nothing_is_left(world)


async def test_an_unused_reservation_is_dropped(world: CaptureWorld) -> None:
    order = world.order(injected(world, "missing"), *_made(world, "a.txt"), spare_ids=3)

    done = await _done(world, order)

    assert _names(done) == ["a.txt"]
    assert await world.state.files.which_exist(world.scope, [world.artifact_id]) == [False]
    assert not world.folder.exists()


async def test_an_order_that_is_not_the_last_leaves_everything_for_the_next(world: CaptureWorld) -> None:
    (world.folder / "beside.txt").write_bytes(b"beside")
    (world.root / "staging/w").write_bytes(b"embedded")
    staged = Candidate(source="staged", path="w", name="w", artifact_id=new_id())
    first = world.order(injected(world, "asked"), spare_ids=3)
    first = FinaliseArtifact(**{name: getattr(first, name) for name in first.__struct_fields__} | {"is_last": False})

    nothing = await finalise_artifact.work(world.stores, first)
    done = await _done(world, world.order(injected(world, "asked"), staged, spare_ids=3))

    assert isinstance(nothing, NothingFound)
    assert _names(done) == ["w.txt", "beside.txt"]
    assert await _all_is_stored(world, done)


async def test_running_again_returns_all_that_was_captured(world: CaptureWorld) -> None:
    (world.folder / "a").write_bytes(b"a")
    (world.folder / "b").write_bytes(b"b")
    order = world.order(injected(world, "a"), *_made(world, "c"), spare_ids=3)

    first, again = [await _done(world, order) for _ in range(2)]

    assert (first.record, first.more) == (again.record, again.more)
    assert await _all_is_stored(world, again)


async def test_a_run_that_was_interrupted_before_its_commit_is_resumed_with_all_its_files(world: CaptureWorld) -> None:
    (world.folder / "a").write_bytes(b"a")
    for name in "bcd":
        (world.folder / name).write_bytes(name.encode())
    order = world.order(injected(world, "a"), *_made(world, "e"), spare_ids=5)
    first = await _done(world, order)
    for record in (first.record, *first.more):
        await world.state.files.drop(world.scope, record.id)
    await world.state.link.call("DEL", world.state.keys.dropped(world.scope))  # as if it had never been committed

    second = await _done(world, order)

    assert sorted(record.sha256 for record in (first.record, *first.more)) == sorted(
        record.sha256 for record in (second.record, *second.more)
    )
    assert await _all_is_stored(world, second)


@pytest.mark.parametrize("attempt", range(5))
async def test_concurrent_runs_keep_each_file_once(world: CaptureWorld, attempt: int) -> None:
    for name in "abcd":
        (world.folder / name).write_bytes(name.encode() * (1 + 100_000 * attempt))
    order = world.order(injected(world, "a"), *_made(world, "e"), spare_ids=5)

    outcomes = await asyncio.gather(*(finalise_artifact.work(world.stores, order) for _ in range(4)))

    listed = await world.state.files.list_artifacts(world.scope)
    assert all(isinstance(outcome, ArtifactDone) for outcome in outcomes)
    assert len({record.sha256 for record in listed}) == len(listed) == 5
    assert len([name for name in files_below(world.root) if name.startswith("artifacts/")]) == 5
