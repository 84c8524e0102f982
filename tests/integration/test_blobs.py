"""Files below the storage root: received, moved, read and removed, with links in every position."""

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.shared.errors import DiskFull, Forbidden, LongshoreError, NotFound, Unavailable
from longshore.shared.storage.blobs import Blobs, Move
from longshore.shared.storage.errors import error_of_os
from longshore.shared.storage.folders import Folders
from longshore.shared.storage.layout import artifact_parts, staging_parts, upload_parts
from longshore.shared.storage.moves import prune
from tests.fixtures.storage import files_below, opened_blobs

TARGET = upload_parts("scope", "id", "a.txt")


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[Blobs]:
    async with opened_blobs(tmp_path / "root") as opened:
        yield opened


@pytest.fixture
def root(blobs: Blobs) -> Path:
    return blobs.folders.root


async def _staged(blobs: Blobs, name: str, content: bytes) -> None:
    writer = blobs.writer(name)
    await writer.write(content)
    await writer.finish()


@pytest.mark.parametrize("sizes", [[], [0], [1], [10, 0, 7], [65_536] * 40, [3_000_000], [100] * 5000])
async def test_written_bytes_are_counted_hashed_and_stored(blobs: Blobs, root: Path, sizes: list[int]) -> None:
    chunks = [os.urandom(size) for size in sizes]
    writer = blobs.writer("w")

    for chunk in chunks:
        await writer.write(chunk)
    size, digest = await writer.finish()

    content = b"".join(chunks)
    assert (size, digest) == (len(content), hashlib.sha256(content).hexdigest())
    assert (root / "staging/w").read_bytes() == content


async def test_an_aborted_file_is_gone(blobs: Blobs, root: Path) -> None:
    writer = blobs.writer("w")
    await writer.write(b"x" * 3_000_000)

    await writer.abort()
    await writer.abort()

    assert files_below(root) == []


async def test_aborting_before_the_first_byte_leaves_other_files_alone(blobs: Blobs, root: Path) -> None:
    await _staged(blobs, "w", b"finished")

    await blobs.writer("w").abort()

    assert files_below(root) == ["staging/w"]


async def test_a_staged_name_is_used_once(blobs: Blobs, root: Path) -> None:
    await _staged(blobs, "w", b"first")
    second = blobs.writer("w")
    await second.write(b"second")

    with pytest.raises(Unavailable):
        await second.finish()
    await second.abort()

    assert (root / "staging/w").read_bytes() == b"first"


async def test_cancelling_in_mid_write_and_aborting_leaves_nothing(blobs: Blobs, root: Path) -> None:
    for _ in range(10):
        writer = blobs.writer("w")
        chunk = b"x" * 4_000_000

        async def receive(writer: object = writer, chunk: bytes = chunk) -> None:
            while True:
                await writer.write(chunk)  # type: ignore[attr-defined]

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.01)
        await writer.abort()

    assert files_below(root) == []


async def test_moving_in_is_repeatable_at_every_step(blobs: Blobs, root: Path) -> None:
    await _staged(blobs, "w", b"content")
    other = upload_parts("scope", "other", "b.txt")

    await blobs.move_in([Move("w", TARGET)])
    await _staged(blobs, "v", b"more")
    await blobs.move_in([Move("w", TARGET), Move("v", other)])

    assert root.joinpath(*TARGET).read_bytes() == b"content"
    assert files_below(root) == ["/".join(TARGET), "/".join(other)]


async def test_moving_a_missing_file_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        await blobs.move_in([Move("nothing", TARGET)])


async def test_modes_are_the_configured_ones_whatever_the_umask(blobs: Blobs, root: Path) -> None:
    before = os.umask(0o077)
    try:
        await _staged(blobs, "w", b"content")
        await blobs.move_in([Move("w", TARGET)])
    finally:
        os.umask(before)

    place = root.joinpath(*TARGET)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (place, place.parent, place.parent.parent)]
    assert modes == [0o660, 0o770, 0o770]


@pytest.mark.parametrize("depth", range(5))
async def test_a_link_in_any_place_of_a_path_is_not_followed(
    blobs: Blobs, root: Path, tmp_path: Path, depth: int
) -> None:
    """Each component in turn is a link to a path that an attacker wants to read or write."""
    real = tmp_path / "elsewhere"
    real.joinpath(*TARGET[depth + 1:]).parent.mkdir(parents=True, exist_ok=True)
    real.joinpath(*TARGET[depth + 1:]).write_bytes(b"secret")
    link = root.joinpath(*TARGET[:depth + 1])
    for part in (link, *[root.joinpath(*TARGET[:up]) for up in range(depth, 0, -1)]):
        if part.is_dir():
            for child in part.iterdir():
                child.rmdir()
            part.rmdir()
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(real)
    await _staged(blobs, "w", b"mine")

    with pytest.raises(Forbidden):
        await blobs.open_read(TARGET)
    with pytest.raises(Forbidden):
        await blobs.peek(TARGET)
    if depth < 4:
        with pytest.raises(Forbidden):
            await blobs.move_in([Move("w", TARGET)])
    await blobs.remove_folder(TARGET[:depth + 1])

    assert real.joinpath(*TARGET[depth + 1:]).read_bytes() == b"secret"
    assert not link.is_symlink()


async def test_only_regular_files_are_opened(blobs: Blobs, root: Path) -> None:
    folder = root.joinpath(*TARGET[:-1])
    folder.mkdir(parents=True)
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()

    for name in ("fifo", "folder"):
        with pytest.raises(Forbidden):
            async with asyncio.timeout(20):
                await blobs.open_read((*TARGET[:-1], name))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "nul\0"])
async def test_a_component_that_is_no_plain_name_is_not_found(blobs: Blobs, name: str) -> None:
    with pytest.raises(NotFound):
        await blobs.open_read((*TARGET[:-1], name))
    with pytest.raises(NotFound):
        await blobs.move_in([Move(name, TARGET)])


async def test_discarding_leaves_no_empty_folder_of_the_scope(blobs: Blobs, root: Path) -> None:
    await _staged(blobs, "w", b"content")
    await blobs.move_in([Move("w", TARGET)])

    await blobs.discard(staging_parts("w"), TARGET, TARGET)

    assert files_below(root) == []
    assert list((root / "uploads/sessions").iterdir()) == []


async def test_removing_a_scope_takes_both_kinds_and_nothing_else(blobs: Blobs, root: Path) -> None:
    places = [
        upload_parts("mine", "u", "a"), artifact_parts("mine", "a", "b"), upload_parts("other", "u", "a"),
    ]
    for number, place in enumerate(places):
        await _staged(blobs, f"w{number}", b"x")
        await blobs.move_in([Move(f"w{number}", place)])

    removed = await blobs.remove_scope("mine")

    assert removed == 2
    assert files_below(root) == ["/".join(places[2])]
    assert await blobs.remove_scope("mine") == 0


def test_a_folder_that_is_removed_concurrently_is_created(tmp_path: Path) -> None:
    """One thread creates folders in a scope while another prunes it a thousand times a second."""
    folders = Folders(tmp_path, dir_mode=0o770, file_mode=0o660)
    scope = ("uploads", "sessions", "scope")
    stopped = threading.Event()

    def prune_it() -> None:
        while not stopped.wait(0.001):
            prune(folders, scope)

    pruning = threading.Thread(target=prune_it)
    pruning.start()
    try:
        for number in range(2000):
            with folders.folder((*scope, str(number)), create=True):
                pass
            prune(folders, (*scope, str(number)))
    finally:
        stopped.set()
        pruning.join()


async def test_a_full_volume_is_reported_as_full(tmp_path: Path) -> None:
    """A device that is always full gives the same error from the same system call."""
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="space") as full:
            os.write(fd, b"x")
    finally:
        os.close(fd)

    assert isinstance(error_of_os(full.value), DiskFull)


@pytest.mark.parametrize("code", [1, 2, 5, 13, 16, 20, 21, 28, 30, 36, 40, 116, 122])
def test_no_sentence_about_a_file_holds_its_path(code: int) -> None:
    err = error_of_os(OSError(code, "text", "/data/shared/secret"))

    assert isinstance(err, LongshoreError)
    assert "/" not in str(err)


async def test_the_volume_s_time_does_not_run_backwards(blobs: Blobs, root: Path) -> None:
    stamps = [await blobs.volume_time_ns() for _ in range(20)]
    (root / "later").write_bytes(b"")

    assert stamps == sorted(stamps)
    assert (root / "later").stat().st_ctime_ns >= stamps[-1]
    assert files_below(root) == []
