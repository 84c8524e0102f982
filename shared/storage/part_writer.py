"""More bytes of a file in staging that other requests have begun: written and hashed off the event loop.

Several requests, on several hosts, write one such file one after the other. What `flush` has returned is on
disk; what lies behind that may be written again.
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

R = TypeVar("R")


class _Sink:
    """The blocking half. Its lock keeps what a cancelled caller left running apart from what follows."""

    def __init__(self, folders: Folders, staged_name: str, offset: int, checksum: str) -> None:
        self._folders = folders
        self._parts = staging_parts(staged_name)
        self._at = offset
        self._fd = -1
        self._failure: OSError | None = None
        self._lock = threading.Lock()
        self._whole = hashlib.sha256() if offset == 0 else None
        self._part = hashlib.new(checksum, usedforsecurity=False) if checksum else None

    def write(self, chunks: list[bytes]) -> None:
        with self._lock:
            if self._failure is not None:  # what follows would be put where the bytes before it are missing
                raise self._failure
            try:
                if self._fd < 0:
                    self._fd = self._folders.open_to_write(self._parts)
                for chunk in chunks:
                    self._write(chunk)
            except OSError as err:
                self._failure = err
                raise

    def _write(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:
            written = os.pwrite(self._fd, left, self._at)
            self._at += written
            left = left[written:]
        for digest in (self._whole, self._part):
            if digest is not None:
                digest.update(chunk)

    def flush(self) -> int:
        with self._lock:
            if self._fd >= 0:
                os.fdatasync(self._fd)
            return self._at

    def checksum(self) -> bytes:
        with self._lock:
            return self._part.digest() if self._part is not None else b""

    def whole(self) -> str:
        with self._lock:
            return self._whole.hexdigest() if self._whole is not None else ""

    def close(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


class PartWriter:
    """Bytes from `offset` on. For one caller at a time; `close` ends it. Methods raise DiskFull, NotFound,
    Unavailable; once a write has failed, no later one is tried."""

    def __init__(
        self, folders: Folders, pool: ThreadPoolExecutor, staged_name: str, *, offset: int, checksum: str
    ) -> None:
        self._sink = _Sink(folders, staged_name, offset, checksum)
        self._pool = pool
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._job: asyncio.Future[None] | None = None

    async def write(self, chunk: bytes) -> None:
        """Take `chunk` in, waiting while more than 1 MiB is behind."""
        self._gathered.append(chunk)
        self._gathered_bytes += len(chunk)
        if self._gathered_bytes >= _GATHER_BYTES:
            await self._begin()

    async def flush(self) -> int:
        """Bring all that was taken in to the disk. Returns the offset behind it."""
        if self._gathered:
            await self._begin()
        await self._written()
        return await self._run(self._sink.flush)

    async def checksum(self) -> bytes:
        """The digest of the bytes that were flushed through this writer, by the algorithm asked for."""
        return await self._run(self._sink.checksum)

    async def whole_sha256(self) -> str:
        """The SHA-256 of the file up to here as lowercase hex, "" unless all of it came through this writer: the
        state of a digest cannot be handed from one process to another."""
        return await self._run(self._sink.whole)

    async def close(self) -> None:
        """Write nothing more."""
        await asyncio.shield(self._start(self._sink.close))

    async def _begin(self) -> None:
        await self._written()
        chunks, self._gathered, self._gathered_bytes = self._gathered, [], 0
        self._job = self._start(self._sink.write, chunks)

    async def _written(self) -> None:
        if self._job is None:
            return
        await asyncio.wait([self._job])  # a caller that is cancelled here finds the job again
        job, self._job = self._job, None
        try:
            job.result()
        except OSError as err:
            raise error_of_os(err) from err

    def _start(self, work: Callable[..., R], *args: list[bytes]) -> asyncio.Future[R]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def _run(self, work: Callable[[], R]) -> R:
        try:
            return await self._start(work)
        except OSError as err:
            raise error_of_os(err) from err
