"""Job that captures the files that a tool wrote, and the files that it must not capture."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from longshore.shared.errors import NotFound, SessionGone
from longshore.shared.ids import new_id
from longshore.shared.jobs import ArtifactDone, Candidate, NothingFound
from longshore.shared.state.files import UsedBytes
from longshore.shared.storage.layout import artifact_parts, upload_parts
from tests.fixtures.capture_world import PNG, CaptureWorld, injected, located, nothing_is_left, opened_capture_world
from tests.fixtures.storage import RedisServer, files_below, sha256


@pytest.fixture(params=["storage_only"])
async def world(server: RedisServer, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[CaptureWorld]:
    async with opened_capture_world(server.address, tmp_path, artifact_policy=request.param) as made:
        yield made


async def test_a_file_at_the_injected_path_is_kept_where_it_is(world: CaptureWorld) -> None:
    (world.folder / "shot.png").write_bytes(PNG)

    record = await world.captured(injected(world, "shot.png"))

    assert (record.name, record.stored_name, record.media_type) == ("shot.png", "shot.png", "image/png")
    assert (record.size_bytes, record.sha256, record.is_utf8) == (len(PNG), sha256(PNG), False)
    assert record.source_tool == "shoot"
    assert world.stored(record) == PNG
    assert await world.state.files.get(world.scope, world.artifact_id) == record
    assert await world.state.files.used_bytes(world.scope) == UsedBytes(len(PNG), len(PNG))


async def test_a_file_that_the_tool_names_is_copied_and_its_own_stays(world: CaptureWorld) -> None:
    made = world.root / "out" / "shot.png"
    made.parent.mkdir()
    made.write_bytes(PNG)

    record = await world.captured(located(made))

    assert world.stored(record) == PNG
    assert made.read_bytes() == PNG
    assert files_below(world.root) == ["/".join(artifact_parts(world.scope, world.artifact_id, "shot.png"))]


async def test_staged_bytes_are_moved_in(world: CaptureWorld) -> None:
    (world.root / "staging/w").write_bytes(b'{"a": 1}')
    candidate = Candidate(source="staged", path="w", name="data", media_type="application/json")

    record = await world.captured(candidate)

    assert (record.name, record.media_type, record.is_utf8) == ("data.json", "application/json", True)
    assert world.stored(record) == b'{"a": 1}'
    assert not (world.root / "staging/w").exists()


@pytest.mark.parametrize(
    "written, name", [("shot", "shot.png"), ("shot.png", "shot.png"), ("v1.2", "v1.2"), ("x" * 255, "x" * 255 + ".png")]
)
async def test_a_name_without_extension_gets_its_type_s(world: CaptureWorld, written: str, name: str) -> None:
    (world.folder / written).write_bytes(PNG)

    record = await world.captured(injected(world, written))

    assert record.name == name
    assert len(record.stored_name.encode()) <= 255
    assert world.stored(record) == PNG


async def test_a_file_to_which_the_tool_added_an_extension_is_found(world: CaptureWorld) -> None:
    (world.folder / "shot.jpeg").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")

    record = await world.captured(injected(world, "shot", name="shot"))

    assert (record.name, record.media_type) == ("shot.jpeg", "image/jpeg")


async def test_an_empty_file_is_a_file(world: CaptureWorld) -> None:
    (world.folder / "empty.txt").write_bytes(b"")

    record = await world.captured(injected(world, "empty.txt"))

    assert (record.size_bytes, record.is_utf8, world.stored(record)) == (0, True, b"")


@pytest.mark.parametrize(
    "content, is_utf8",
    [("ü".encode() * 700_000, True), ("ü".encode() * 700_000 + b"\xc3", False), (b"a" * 2_000_000 + b"\xff", False)],
)
async def test_text_is_detected_over_the_whole_file(world: CaptureWorld, content: bytes, is_utf8: bool) -> None:
    """The two bytes of a letter lie on both sides of a chunk's edge; the invalid byte comes last."""
    (world.folder / "a.txt").write_bytes(b"-" + content)

    record = await world.captured(injected(world, "a.txt"))

    assert record.is_utf8 is is_utf8


async def test_the_first_candidate_that_is_there_wins(world: CaptureWorld) -> None:
    made = world.root / "second.txt"
    made.write_bytes(b"second")

    record = await world.captured(
        injected(world, "missing.png"), located(world.root / "state/x"), located(made), located(world.root / "z")
    )

    assert record.name == "second.txt"


async def test_a_file_named_at_the_injected_path_is_not_copied_onto_itself(world: CaptureWorld) -> None:
    (world.folder / "shot.png").write_bytes(PNG)

    record = await world.captured(located(world.folder / "shot.png"))

    assert world.stored(record) == PNG
    assert len(files_below(world.root)) == 1


async def test_a_file_of_the_session_s_own_may_be_named(world: CaptureWorld) -> None:
    own = world.root.joinpath(*upload_parts(world.scope, new_id(), "in.txt"))
    own.parent.mkdir(parents=True)
    own.write_bytes(b"changed in place")

    record = await world.captured(located(own))

    assert world.stored(record) == b"changed in place"
    assert own.exists()


Hostile = Callable[[CaptureWorld], Path]


def _link_to_file(world: CaptureWorld) -> Path:
    (world.root / "victim.txt").write_bytes(b"secret")
    (world.root / "link.txt").symlink_to(world.root / "victim.txt")
    return world.root / "link.txt"


def _link_to_folder(world: CaptureWorld) -> Path:
    (world.root / "real").mkdir()
    (world.root / "real/x.txt").write_bytes(b"secret")
    (world.root / "linked").symlink_to(world.root / "real")
    return world.root / "linked/x.txt"


def _link_outside(world: CaptureWorld) -> Path:
    (world.root / "linked").symlink_to("/etc")
    return world.root / "linked/passwd"


def _link_to_state(world: CaptureWorld) -> Path:
    (world.root / "state").mkdir()
    (world.root / "state/db").write_bytes(b"secret")
    (world.root / "out").symlink_to(world.root / "state")
    return world.root / "out/db"


def _fifo(world: CaptureWorld) -> Path:
    os.mkfifo(world.root / "fifo")
    return world.root / "fifo"


def _device(world: CaptureWorld) -> Path:
    return Path("/dev/zero")


def _other_scope(world: CaptureWorld) -> Path:
    place = world.root.joinpath(*artifact_parts("o" * 32, new_id(), "x.txt"))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"secret")
    return place


def _other_scope_s_upload(world: CaptureWorld) -> Path:
    place = world.root.joinpath(*upload_parts("o" * 32, new_id(), "x.txt"))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"secret")
    return place


def _by_dots(world: CaptureWorld) -> Path:
    place = _other_scope(world)
    return Path(f"{world.root}/out/../{place.relative_to(world.root)}")


def _state(world: CaptureWorld) -> Path:
    (world.root / "state").mkdir()
    (world.root / "state/appendonly.aof").write_bytes(b"secret")
    return world.root / "state/appendonly.aof"


def _staging(world: CaptureWorld) -> Path:
    (world.root / "staging/other-client").write_bytes(b"secret")
    return world.root / "staging/other-client"


def _folder(world: CaptureWorld) -> Path:
    (world.root / "out").mkdir()
    return world.root / "out"


def _passwd(_world: CaptureWorld) -> Path:
    return Path("/etc/passwd")


def _outside(world: CaptureWorld) -> Path:
    (world.allowed / "x.txt").write_bytes(b"not shared")
    return world.allowed / "x.txt"


def _missing(world: CaptureWorld) -> Path:
    return world.root / "missing.txt"


def _long(world: CaptureWorld) -> Path:
    return world.root / ("x" * 5000)


HOSTILE = [
    _link_to_file, _link_to_folder, _link_outside, _link_to_state, _fifo, _device, _other_scope, _other_scope_s_upload,
    _by_dots, _state, _staging, _folder, _passwd, _outside, _missing, _long,
]


@pytest.mark.parametrize("make", HOSTILE)
async def test_a_named_file_that_is_not_allowed_is_refused(world: CaptureWorld, make: Hostile) -> None:
    path = make(world)

    async with asyncio.timeout(20):
        outcome = await world.run(located(path))

    assert isinstance(outcome, NothingFound)
    [sentence] = outcome.refusals
    assert str(world.root) not in sentence
    assert "/" not in sentence
    assert "secret" not in sentence
    assert await nothing_is_left(world)


@pytest.mark.parametrize("make", [_link_to_file, _fifo, _other_scope, _passwd, _folder, _missing])
async def test_the_injected_path_is_no_way_around(world: CaptureWorld, make: Hostile) -> None:
    """The tool may put anything at the injected path."""
    target = make(world)
    (world.folder / "shot.png").symlink_to(target)

    outcome = [
        await world.run(injected(world, "shot.png")),
        await world.run(Candidate(source="injected", path=str(target))),
    ]

    assert all(isinstance(found, NothingFound) for found in outcome)
    assert await nothing_is_left(world)


async def test_a_fifo_at_the_injected_path_hangs_nothing(world: CaptureWorld) -> None:
    os.mkfifo(world.folder / "shot.png")

    async with asyncio.timeout(20):
        outcome = await world.run(injected(world, "shot.png"))

    assert isinstance(outcome, NothingFound)


async def test_the_artifact_s_folder_may_not_be_a_link(world: CaptureWorld) -> None:
    other = _other_scope(world)
    world.folder.rmdir()
    world.folder.symlink_to(other.parent)

    outcome = await world.run(injected(world, "x.txt"))

    assert isinstance(outcome, NothingFound)
    assert other.read_bytes() == b"secret"


async def test_a_file_that_is_older_than_the_call_is_refused(world: CaptureWorld) -> None:
    made = world.root / "old.txt"
    made.write_bytes(b"from an earlier call")
    os.utime(made, (2e9, 2e9))  # its own idea of its age does not count
    await asyncio.sleep(0.02)
    begun_ns = await world.stores.blobs.volume_time_ns()

    before = await world.run(located(made), not_before_ns=begun_ns)
    await asyncio.sleep(0.02)
    made.write_bytes(b"from this call")
    after = await world.run(located(made), not_before_ns=begun_ns)

    assert isinstance(before, NothingFound)
    assert isinstance(after, ArtifactDone)


@pytest.mark.parametrize("world", ["allow_configured_roots"], indirect=True)
async def test_an_allowed_root_permits_its_own_files_only(world: CaptureWorld) -> None:
    made = _outside(world)
    (world.allowed / "link").symlink_to("/etc")

    refused = [await world.run(located(path)) for path in (world.allowed / "link/passwd", Path("/etc/passwd"))]
    record = await world.captured(located(made))

    assert all(isinstance(outcome, NothingFound) for outcome in refused)
    assert world.stored(record) == b"not shared"
    assert made.exists()


async def test_running_again_returns_what_was_captured(world: CaptureWorld) -> None:
    made = world.root / "shot"
    made.write_bytes(PNG)
    (world.root / "staging/w").write_bytes(b"embedded")
    candidates = (located(made), Candidate(source="staged", path="w", name="w"))

    first = await world.captured(*candidates)
    made.write_bytes(b"changed since")
    again = await world.captured(*candidates)

    assert first == again
    assert (await world.state.files.used_bytes(world.scope)).scope == len(PNG)
    assert len(files_below(world.root)) == 1


def _ways(world: CaptureWorld) -> tuple[dict[str, Candidate], dict[str, Path]]:
    """Sources of a file, each with the place of its bytes."""
    candidates = {
        "injected": injected(world, "shot"),
        "located": located(world.root / "shot"),
        "staged": Candidate(source="staged", path="w", name="shot"),
    }
    places = {"injected": world.folder / "shot", "located": world.root / "shot", "staged": world.root / "staging/w"}
    return candidates, places


@pytest.mark.parametrize("source", ["injected", "located", "staged"])
async def test_a_run_that_was_interrupted_before_its_commit_is_resumed(world: CaptureWorld, source: str) -> None:
    """The first run has moved the file and not committed its record: a second run has the same result."""
    candidates, places = _ways(world)
    places[source].write_bytes(PNG)
    first = await world.captured(candidates[source])
    await world.state.files.drop(world.scope, world.artifact_id)
    await world.state.link.call("DEL", world.state.keys.dropped(world.scope))  # as if it had never been committed

    second = await world.captured(candidates[source])

    assert (second.name, second.stored_name, second.sha256) == (first.name, first.stored_name, first.sha256)
    assert (await world.state.files.used_bytes(world.scope)).scope == len(PNG)
    assert len(files_below(world.root)) == 1


@pytest.mark.parametrize("source", ["injected", "located", "staged"])
async def test_a_run_after_its_artifact_was_evicted_commits_nothing(world: CaptureWorld, source: str) -> None:
    """The record was dropped and the file is about to be unlinked: a new record would point at nothing."""
    candidates, places = _ways(world)
    places[source].write_bytes(PNG)
    await world.captured(candidates[source])
    await world.state.files.drop(world.scope, world.artifact_id)

    with pytest.raises(NotFound, match="gone again"):
        await world.run(candidates[source])

    assert await nothing_is_left(world)


@pytest.mark.parametrize("source", ["injected", "located", "staged"])
@pytest.mark.parametrize("attempt", range(5))
async def test_concurrent_runs_make_one_artifact(world: CaptureWorld, source: str, attempt: int) -> None:
    """A worker that stalled continues beside the one that took its job over."""
    candidates, places = _ways(world)
    content = PNG * (1 + 2000 * attempt)
    places[source].write_bytes(content)

    records = await asyncio.gather(*(world.captured(candidates[source]) for _ in range(4)))

    assert len({(record.id, record.stored_name) for record in records}) == 1
    assert (await world.state.files.used_bytes(world.scope)).scope == len(content)
    assert files_below(world.root) == ["/".join(artifact_parts(world.scope, world.artifact_id, "shot.png"))]


async def test_a_run_after_its_session_expired_keeps_the_committed_files(world: CaptureWorld) -> None:
    """The session may be revived, and then has its files."""
    (world.folder / "shot.png").write_bytes(PNG)
    record = await world.captured(injected(world, "shot.png"))
    await world.state.link.call("HSET", world.state.keys.session(world.scope), "state", "resting")

    with pytest.raises(SessionGone):
        await world.run(injected(world, "shot.png"))

    assert world.stored(record) == PNG
    assert await world.state.files.get(world.scope, world.artifact_id) == record


async def test_a_session_that_ended_meanwhile_keeps_no_artifact(world: CaptureWorld) -> None:
    (world.folder / "shot.png").write_bytes(PNG)
    await world.state.end_session(world.scope)

    with pytest.raises(SessionGone):
        await world.run(injected(world, "shot.png"))

    assert await nothing_is_left(world)


@pytest.mark.parametrize("source", ["injected", "located", "staged"])
async def test_a_refused_artifact_leaves_nothing_from_any_source(world: CaptureWorld, source: str) -> None:
    """Also not the other embedded files; the tool's own file stays."""
    candidates, places = _ways(world)
    places[source].write_bytes(PNG)
    (world.root / "staging/beside").write_bytes(PNG)
    await world.state.end_session(world.scope)

    with pytest.raises(SessionGone):
        await world.run(candidates[source], Candidate(source="staged", path="beside", name="beside"))

    assert await nothing_is_left(world)
    assert files_below(world.root) == []
    assert places["located"].exists() == (source == "located")


async def test_nothing_found_leaves_no_reservation_and_no_staged_bytes(world: CaptureWorld) -> None:
    (world.root / "staging/w").symlink_to("/etc/passwd")

    outcome = await world.run(
        injected(world, "missing"), located(world.root / "missing"), Candidate(source="staged", path="w")
    )

    assert isinstance(outcome, NothingFound)
    assert len(outcome.refusals) == 3
    assert files_below(world.root) == []
    assert await nothing_is_left(world)
