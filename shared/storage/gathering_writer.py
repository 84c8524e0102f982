"""Base of the writers of staged files: gathers chunks to 1 MiB; one thread at a time writes them while more arrive."""

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from longshore.shared.storage.errors import error_of_os
from longshore.shared.storage.folders import Folders
from longshore.shared.storage.layout import staging_parts

_GATHER_BYTES = 1024 * 1024

R = TypeVar("R")


class StagedFile(ABC):
    """Blocking half of a writer. Its lock separates a write that a cancelled caller left running from what follows."""

    def __init__(self, folders: Folders, staged_name: str) -> None:
        self.lock = threading.Lock()
        self._folders = folders
        self._parts = staging_parts(staged_name)
        self._fd = -1

    @abstractmethod
    def write(self, chunks: list[bytes]) -> None:
        """Write and hash the chunks."""

    def close(self) -> None:
        """Close the file, if open."""
        with self.lock:
            self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class GatheringWriter:
    """Writer of one staged file. For one caller at a time."""

    def __init__(self, pool: ThreadPoolExecutor, file: StagedFile) -> None:
        self.size_bytes = 0      # taken so far
        self._pool = pool
        self._write_chunks = file.write
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._job: asyncio.Future[None] | None = None

    async def write(self, chunk: bytes) -> None:
        """Take a chunk, waiting while more than 1 MiB is behind. Raises DiskFull, Forbidden, NotFound, Unavailable."""
        self.size_bytes += len(chunk)
        self._gathered.append(chunk)
        self._gathered_bytes += len(chunk)
        if self._gathered_bytes >= _GATHER_BYTES:
            await self._start_write()

    async def _start_write(self) -> None:
        await self._await_write()
        self._job = self._start(self._write_chunks, self._take_gathered())

    async def _await_write(self) -> None:
        if self._job is None:
            return
        _ = await asyncio.wait([self._job])  # unlike awaiting it, this does not cancel it
        job, self._job = self._job, None
        try:
            job.result()
        except OSError as err:
            raise error_of_os(err) from err

    def _take_gathered(self) -> list[bytes]:
        chunks, self._gathered, self._gathered_bytes = self._gathered, [], 0
        return chunks

    def _start(self, work: Callable[..., R], *args: list[bytes]) -> asyncio.Future[R]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def _run(self, work: Callable[..., R], *args: list[bytes]) -> R:
        try:
            return await self._start(work, *args)
        except OSError as err:
            raise error_of_os(err) from err
