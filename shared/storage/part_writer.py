"""Writer that appends to a staged file of a resumable upload: writes and hashes off the event loop.

Several requests, on several hosts, append to one file one after the other. Bytes before the offset that `flush`
has returned are on disk; later ones may be written again.
"""

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

from longshore.shared.storage.folders import Folders
from longshore.shared.storage.gathering_writer import GatheringWriter, StagedFile


class _Part(StagedFile):
    """Blocking half of the writer, from an offset on."""

    def __init__(self, folders: Folders, staged_name: str, offset: int, checksum: str) -> None:
        super().__init__(folders, staged_name)
        self._offset = offset
        self._failure: OSError | None = None
        self._whole_digest = hashlib.sha256() if offset == 0 else None
        self._part_digest = hashlib.new(checksum, usedforsecurity=False) if checksum else None

    def write(self, chunks: list[bytes]) -> None:
        with self.lock:
            if self._failure is not None:  # bytes after a failed write would leave a gap
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
            written = os.pwrite(self._fd, left, self._offset)
            self._offset += written
            left = left[written:]
        for digest in (self._whole_digest, self._part_digest):
            if digest is not None:
                digest.update(chunk)

    def flush(self) -> int:
        with self.lock:
            if self._fd >= 0:
                os.fdatasync(self._fd)
            return self._offset

    def checksum(self) -> bytes:
        with self.lock:
            return self._part_digest.digest() if self._part_digest is not None else b""

    def whole_sha256(self) -> str:
        with self.lock:
            return self._whole_digest.hexdigest() if self._whole_digest is not None else ""


class PartWriter(GatheringWriter):
    """Writer of the bytes from an offset on, until `close`. Once a write has failed, every later one fails."""

    def __init__(
        self, folders: Folders, pool: ThreadPoolExecutor, staged_name: str, *, offset: int, checksum: str
    ) -> None:
        self._file = _Part(folders, staged_name, offset, checksum)
        super().__init__(pool, self._file)

    async def flush(self) -> int:
        """Write all bytes to disk and return the offset after them. Raises as `write` does."""
        if self._gathered:
            await self._start_write()
        await self._await_write()
        return await self._run(self._file.flush)

    async def checksum(self) -> bytes:
        """Return the digest of the bytes flushed by this writer, by the requested algorithm."""
        return await self._run(self._file.checksum)

    async def whole_sha256(self) -> str:
        """Return the SHA-256 of the file so far in lowercase hex; "" unless this writer wrote all of it.

        The state of a digest cannot be passed to another process.
        """
        return await self._run(self._file.whole_sha256)

    async def close(self) -> None:
        """Close the file; nothing is written any more."""
        await asyncio.shield(self._start(self._file.close))
