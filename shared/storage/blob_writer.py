"""Bytes on their way into one staged file: counted, hashed and written off the event loop.

Chunks are gathered to 1 MiB; one executor job at a time writes and hashes them while the next ones
come in. Nothing is fsynced here: `Blobs.move_in` does that before the file becomes visible.
"""

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from longshore.shared.storage.errors import error_of_os
from longshore.shared.storage.folders import Folders
from longshore.shared.storage.layout import staging_parts

_GATHER_BYTES = 1024 * 1024
_MOST_BUFFERS = 1000         # writev takes 1,024


R = TypeVar("R")


class _Sink:
    """The blocking half. Its lock makes `unlink` wait for a write that a cancelled caller left running."""

    def __init__(self, folders: Folders, staged_name: str) -> None:
        self._folders = folders
        self._parts = staging_parts(staged_name)
        self._digest = hashlib.sha256()
        self._lock = threading.Lock()
        self._fd = -1
        self._created = False
        self._gone = False

    def write(self, chunks: list[bytes]) -> None:
        with self._lock:
            self._write(chunks)

    def finish(self, chunks: list[bytes]) -> str:
        with self._lock:
            self._write(chunks)
            self._close()
            return self._digest.hexdigest()

    def unlink(self) -> None:
        with self._lock:
            self._gone = True
            self._close()
            if self._created:
                self._created = False
                self._folders.unlink(self._parts)

    def _write(self, chunks: list[bytes]) -> None:
        if self._gone:
            raise FileNotFoundError
        if not self._created:
            self._fd = self._folders.create_file(self._parts)
            self._created = True
        for start in range(0, len(chunks), _MOST_BUFFERS):
            write_all(self._fd, chunks[start:start + _MOST_BUFFERS])
        for chunk in chunks:
            self._digest.update(chunk)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class BlobWriter:
    """One file in `staging/`, from its first byte to `finish` or `abort`. For one caller at a time."""

    def __init__(self, folders: Folders, pool: ThreadPoolExecutor, staged_name: str) -> None:
        self._sink = _Sink(folders, staged_name)
        self._pool = pool
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._job: asyncio.Future[None] | None = None
        self.size_bytes = 0      # taken in so far

    async def write(self, chunk: bytes) -> None:
        """Take `chunk` in, waiting while more than 1 MiB is behind. Raises DiskFull, Unavailable, Forbidden."""
        self.size_bytes += len(chunk)
        self._gathered.append(chunk)
        self._gathered_bytes += len(chunk)
        if self._gathered_bytes >= _GATHER_BYTES:
            await self._written()
            self._job = self._run(self._sink.write, self._take())

    async def finish(self) -> tuple[int, str]:
        """Write what is left and close: the size, and the SHA-256 as lowercase hex. Raises as `write` does."""
        await self._written()
        try:
            digest = await self._run(self._sink.finish, self._take())
        except OSError as err:
            raise error_of_os(err) from err
        return self.size_bytes, digest

    async def abort(self) -> None:
        """Unlink the file, after whatever is being written; safe to repeat, and to cancel: it happens anyway."""
        self._gathered.clear()
        await asyncio.shield(self._run(self._sink.unlink))

    def _take(self) -> list[bytes]:
        chunks, self._gathered, self._gathered_bytes = self._gathered, [], 0
        return chunks

    async def _written(self) -> None:
        job, self._job = self._job, None
        if job is None:
            return
        await asyncio.wait([job])  # unlike awaiting it, this does not cancel it
        try:
            job.result()
        except OSError as err:
            raise error_of_os(err) from err

    def _run(self, work: Callable[..., R], *args: list[bytes]) -> asyncio.Future[R]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


def write_all(fd: int, chunks: list[bytes]) -> None:
    """Every byte of at most 1,000 chunks, however short single writes are."""
    left = [memoryview(chunk) for chunk in chunks if chunk]
    while left:
        written = os.writev(fd, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]
