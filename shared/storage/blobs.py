"""File operations below `storage.root`, off the event loop and safe against symbolic links.

Paths are components from the root, as `longshore.shared.storage.layout` builds them. Every method may raise DiskFull,
Forbidden, NotFound or Unavailable with a sentence that holds no path.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from longshore.shared.errors import Unavailable
from longshore.shared.storage import layout
from longshore.shared.storage import moves as moving
from longshore.shared.storage.blob_writer import BlobWriter
from longshore.shared.storage.errors import error_of_os
from longshore.shared.storage.folders import Folders
from longshore.shared.storage.part_writer import PartWriter

_THREADS = 4                 # of its own, so that name lookups never queue behind disk writes
HEAD_BYTES = 4096            # enough to tell a file's type
_READ_BYTES = 1024 * 1024

Parts = tuple[str, ...]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Peek:
    """A file as it lies there."""

    size_bytes: int
    head: bytes              # at most HEAD_BYTES


@dataclass(frozen=True, slots=True)
class Move:
    """One staged file and where it goes."""

    staged_name: str
    parts: Parts


class Blobs:
    """The storage volume of this process. Built once at start-up; `close` ends its threads."""

    def __init__(self, root: Path, *, dir_mode: int, file_mode: int) -> None:
        self.folders = Folders(root, dir_mode=dir_mode, file_mode=file_mode)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")
        self._running = 0            # of what is asked of the threads

    async def create_folders(self) -> None:
        """Create the folders below the root that longshore uses. Safe to repeat."""
        await self.run(_prepare, self.folders)

    def writer(self, staged_name: str) -> BlobWriter:
        """Receive a new file into `staging/`; `staged_name` was never used before."""
        return BlobWriter(self.folders, self._pool, staged_name)

    async def create_staged(self, staged_name: str) -> None:
        """An empty file in `staging/`, for `part_writer`; `staged_name` was never used before."""
        os.close(await self.run(self.folders.create_file, layout.staging_parts(staged_name)))

    def part_writer(self, staged_name: str, *, offset: int, checksum: str) -> PartWriter:
        """Go on with a file in `staging/`; `checksum` names the algorithm for what is written now, "" for none."""
        return PartWriter(self.folders, self._pool, staged_name, offset=offset, checksum=checksum)

    async def open_read(self, parts: Parts) -> int:
        """A descriptor of the regular file at `parts`, the caller's to close."""
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(self._pool, self.folders.open_file, parts)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unclaimed)
            raise
        except OSError as err:
            raise error_of_os(err) from err

    async def peek(self, *places: Parts) -> Peek:
        """Size and first bytes of the file at the first of `places` where there is one."""
        return await self.run(_peek, self.folders, places)

    async def sha256(self, *places: Parts) -> str:
        """The digest of the file at the first of `places` where there is one, read from beginning to end."""
        return await self.run(_sha256, self.folders, places)

    async def exists(self, parts: Parts) -> bool:
        """Whether there is a regular file at `parts`. Unavailable when the volume itself seems to be gone."""
        return (await self.which_exist([parts]))[0]

    async def which_exist(self, places: Sequence[Parts]) -> list[bool]:
        """The same of several, in order."""
        return await self.run(_are_there, self.folders, places)

    async def make_folder(self, parts: Parts) -> int:
        """Create a folder, and those above it. Safe to repeat. When it last changed, in ns by the volume's clock."""
        return await self.run(_make_folder, self.folders, parts)

    async def move_in(self, moves: Sequence[Move]) -> None:
        """Bring staged files to their places, durably: bytes and names are on disk when this returns.

        Safe to repeat: one that is in its place already stays. NotFound when one is in neither.
        """
        await self.run(moving.move_in, self.folders, [(layout.staging_parts(m.staged_name), m.parts) for m in moves])

    async def discard(self, *places: Parts) -> None:
        """Unlink files, where they are there, and the folders that this leaves empty."""
        await self.run(moving.discard, self.folders, places)

    async def remove_folder(self, parts: Parts) -> int:
        """Unlink a folder with all that is in it, and the folder above if that leaves it empty.

        The number of files; 0 when it is not there. Links are unlinked, never followed.
        """
        return await self.run(moving.remove_folder, self.folders, parts)

    async def remove_scope(self, scope: str) -> int:
        """Unlink every upload and artifact of a scope. The number of files."""
        uploads = await self.remove_folder((layout.UPLOADS, layout.SESSIONS, scope))
        return uploads + await self.remove_folder((layout.ARTIFACTS, layout.SESSIONS, scope))

    async def volume_time_ns(self) -> int:
        """The volume's own time, in ns, by its clock rather than this host's."""
        return await self.run(moving.volume_time_ns, self.folders)

    async def run(self, work: Callable[..., R], *args: object) -> R:
        """Run blocking `work` in a thread of the volume's, with its OSError as one of the family.

        Cancelling does not stop what a thread has begun.
        """
        loop = asyncio.get_running_loop()
        self._running += 1
        try:
            return await loop.run_in_executor(self._pool, partial(work, *args))
        except OSError as err:
            raise error_of_os(err) from err
        finally:
            self._running -= 1

    async def run_to_end(self, work: Callable[..., R], *args: object) -> R:
        """As `run`, but cancelling waits for what the thread has begun: its descriptors can be closed afterwards."""
        running = asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args))
        self._running += 1
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise
        except OSError as err:
            raise error_of_os(err) from err
        finally:
            self._running -= 1

    @property
    def has_idle_threads(self) -> bool:
        """Whether most of the threads have nothing to do: one may then be kept for longer."""
        return self._running < _THREADS // 2

    def close(self) -> None:
        """Let what runs end, begin nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.folders.sync_pool.shutdown()


def _prepare(folders: Folders) -> None:
    folders.root.mkdir(parents=True, exist_ok=True)
    for parts in ((layout.UPLOADS, layout.SESSIONS), (layout.ARTIFACTS, layout.SESSIONS), (layout.STAGING,)):
        _make_folder(folders, parts)


def _make_folder(folders: Folders, parts: Parts) -> int:
    with folders.folder(parts, create=True) as folder:
        return os.fstat(folder).st_ctime_ns


def _peek(folders: Folders, places: Sequence[Parts]) -> Peek:
    fd = _open_first(folders, places)
    try:
        return Peek(size_bytes=os.fstat(fd).st_size, head=os.pread(fd, HEAD_BYTES, 0))
    finally:
        os.close(fd)


def _sha256(folders: Folders, places: Sequence[Parts]) -> str:
    fd, digest, at = _open_first(folders, places), hashlib.sha256(), 0
    try:
        while chunk := os.pread(fd, _READ_BYTES, at):
            digest.update(chunk)
            at += len(chunk)
    finally:
        os.close(fd)
    return digest.hexdigest()


def _are_there(folders: Folders, places: Sequence[Parts]) -> list[bool]:
    return [_is_there(folders, parts) for parts in places]


def _is_there(folders: Folders, parts: Parts) -> bool:
    try:
        os.close(folders.open_file(parts))
    except FileNotFoundError:
        if _is_folder(folders, parts[:2]):
            return False
        raise Unavailable("the storage volume is not as longshore left it; look at its mount") from None
    return True


def _is_folder(folders: Folders, parts: Parts) -> bool:
    try:
        with folders.folder(parts):
            return True
    except FileNotFoundError:
        return False


def _open_first(folders: Folders, places: Sequence[Parts]) -> int:
    for place in places[:-1]:
        with contextlib.suppress(FileNotFoundError):
            return folders.open_file(place)
    return folders.open_file(places[-1])


def _close_unclaimed(opening: asyncio.Future[int]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())
