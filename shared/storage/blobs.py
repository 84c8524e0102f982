"""File operations below `storage.root`, off the event loop and safe against symbolic links.

Paths are components from the root, as `longshore.shared.storage.layout` builds them. Every method may raise DiskFull,
Forbidden, NotFound or Unavailable with a message that holds no path.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from longshore.shared.errors import Unavailable
from longshore.shared.storage import layout, moves
from longshore.shared.storage.blob_writer import BlobWriter
from longshore.shared.storage.errors import error_of_os
from longshore.shared.storage.folders import Folders
from longshore.shared.storage.part_writer import PartWriter

_THREADS = 4                 # separate from the default pool, whose name lookups must not queue behind disk writes
HEAD_BYTES = 4096            # enough to detect a media type
_READ_BYTES = 1024 * 1024

Parts = tuple[str, ...]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Peek:
    """Size and first bytes of a file."""

    size_bytes: int
    head: bytes              # at most HEAD_BYTES


@dataclass(frozen=True, slots=True)
class Move:
    """Move of one staged file to its final path."""

    staged_name: str
    parts: Parts


class Blobs:
    """Storage volume, with its own threads. Built once at start-up; `close` ends the threads."""

    def __init__(self, root: Path, *, dir_mode: int, file_mode: int) -> None:
        self.folders = Folders(root, dir_mode=dir_mode, file_mode=file_mode)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")
        self._running = 0            # operations in the threads

    async def create_folders(self) -> None:
        """Create the folders of the layout. Safe to repeat."""
        await self.run(_prepare, self.folders)

    def writer(self, staged_name: str) -> BlobWriter:
        """Return a writer of a new file in `staging/`; `staged_name` was never used before."""
        return BlobWriter(self.folders, self._pool, staged_name)

    async def create_staged(self, staged_name: str) -> None:
        """Create an empty file in `staging/` for `part_writer`; `staged_name` was never used before."""
        os.close(await self.run(self.folders.create_file, layout.staging_parts(staged_name)))

    def part_writer(self, staged_name: str, *, offset: int, checksum: str) -> PartWriter:
        """Return a writer that continues a file in `staging/` and hashes its part with `checksum`, "" for none."""
        return PartWriter(self.folders, self._pool, staged_name, offset=offset, checksum=checksum)

    async def open_read(self, parts: Parts) -> int:
        """Open the regular file at `parts`; the caller closes the descriptor."""
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(self._pool, self.folders.open_file, parts)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unclaimed)
            raise
        except OSError as err:
            raise error_of_os(err) from err

    async def peek(self, *paths: Parts) -> Peek:
        """Return size and first bytes of the first of these files that exists."""
        return await self.run(_peek, self.folders, paths)

    async def sha256(self, *paths: Parts) -> str:
        """Read the first of these files that exists, and return its SHA-256."""
        return await self.run(_sha256, self.folders, paths)

    async def exists(self, parts: Parts) -> bool:
        """Return True if there is a regular file at `parts`. Raises Unavailable when the volume seems unmounted."""
        return (await self.which_exist([parts]))[0]

    async def which_exist(self, paths: Sequence[Parts]) -> list[bool]:
        """Return for each path, in order, if there is a regular file, as `exists` does."""
        return await self.run(_which_exist, self.folders, paths)

    async def make_folder(self, parts: Parts) -> int:
        """Create a folder and its parents; return its change time in ns by the volume's clock. Safe to repeat."""
        return await self.run(_make_folder, self.folders, parts)

    async def move_in(self, staged: Sequence[Move]) -> None:
        """Move staged files to their paths, durably: bytes and names are on disk when this returns.

        Safe to repeat: files that are moved already stay. Raises NotFound for a file that is at neither path.
        """
        await self.run(moves.move_in, self.folders, [(layout.staging_parts(m.staged_name), m.parts) for m in staged])

    async def discard(self, *paths: Parts) -> None:
        """Unlink these files, if they exist, and the folders that become empty."""
        await self.run(moves.discard, self.folders, paths)

    async def remove_folder(self, parts: Parts) -> int:
        """Unlink a folder with its content, and its parent if that becomes empty; return the number of files.

        Links are unlinked, never followed.
        """
        return await self.run(moves.remove_folder, self.folders, parts)

    async def remove_scope(self, scope: str) -> int:
        """Unlink every upload and artifact of a scope; return the number of files."""
        uploads = await self.remove_folder((layout.UPLOADS, layout.SESSIONS, scope))
        return uploads + await self.remove_folder((layout.ARTIFACTS, layout.SESSIONS, scope))

    async def volume_time_ns(self) -> int:
        """Return the time in ns by the volume's clock, which may differ from this host's."""
        return await self.run(moves.volume_time_ns, self.folders)

    async def run(self, work: Callable[..., R], *args: object) -> R:
        """Run blocking `work` in one of the threads and convert its OSError. Cancelling does not stop the thread."""
        with self._operation():
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args))

    async def run_to_end(self, work: Callable[..., R], *args: object) -> R:
        """Run as `run` does, but cancelling waits for the thread, so that its descriptors can be closed afterwards."""
        with self._operation():
            running = asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                await asyncio.wait([running])
                raise

    @contextlib.contextmanager
    def _operation(self) -> Iterator[None]:
        self._running += 1
        try:
            yield
        except OSError as err:
            raise error_of_os(err) from err
        finally:
            self._running -= 1

    @property
    def has_idle_threads(self) -> bool:
        """Return True if most of the threads are idle, so that one may be used for longer."""
        return self._running < _THREADS // 2

    def close(self) -> None:
        """Wait for running operations and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.folders.sync_pool.shutdown()


def _prepare(folders: Folders) -> None:
    folders.root.mkdir(parents=True, exist_ok=True)
    for parts in ((layout.UPLOADS, layout.SESSIONS), (layout.ARTIFACTS, layout.SESSIONS), (layout.STAGING,)):
        _make_folder(folders, parts)


def _make_folder(folders: Folders, parts: Parts) -> int:
    with folders.folder(parts, create=True) as folder:
        return os.fstat(folder).st_ctime_ns


def _peek(folders: Folders, paths: Sequence[Parts]) -> Peek:
    fd = _open_first(folders, paths)
    try:
        return Peek(size_bytes=os.fstat(fd).st_size, head=os.pread(fd, HEAD_BYTES, 0))
    finally:
        os.close(fd)


def _sha256(folders: Folders, paths: Sequence[Parts]) -> str:
    fd, digest, at = _open_first(folders, paths), hashlib.sha256(), 0
    try:
        while chunk := os.pread(fd, _READ_BYTES, at):
            digest.update(chunk)
            at += len(chunk)
    finally:
        os.close(fd)
    return digest.hexdigest()


def _which_exist(folders: Folders, paths: Sequence[Parts]) -> list[bool]:
    return [_exists(folders, parts) for parts in paths]


def _exists(folders: Folders, parts: Parts) -> bool:
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


def _open_first(folders: Folders, paths: Sequence[Parts]) -> int:
    for path in paths[:-1]:
        with contextlib.suppress(FileNotFoundError):
            return folders.open_file(path)
    return folders.open_file(paths[-1])


def _close_unclaimed(opening: asyncio.Future[int]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())
