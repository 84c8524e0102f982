"""Writer of a new staged file: counts, hashes and writes off the event loop.

Nothing is fsynced here: `Blobs.move_in` does that before the file becomes visible.
"""

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

from longshore.shared.storage.folders import Folders
from longshore.shared.storage.gathering_writer import GatheringWriter, StagedFile

_MAX_BUFFERS = 1000          # writev takes 1,024


class _NewFile(StagedFile):
    """Blocking half of the writer, which creates the file with the first write."""

    def __init__(self, folders: Folders, staged_name: str) -> None:
        super().__init__(folders, staged_name)
        self._digest = hashlib.sha256()
        self._created = False
        self._aborted = False

    def write(self, chunks: list[bytes]) -> None:
        with self.lock:
            self._write(chunks)

    def finish(self, chunks: list[bytes]) -> str:
        with self.lock:
            self._write(chunks)
            self._close()
            return self._digest.hexdigest()

    def unlink(self) -> None:
        with self.lock:
            self._aborted = True
            self._close()
            if self._created:
                self._created = False
                self._folders.unlink(self._parts)

    def _write(self, chunks: list[bytes]) -> None:
        if self._aborted:
            raise FileNotFoundError
        if not self._created:
            self._fd = self._folders.create_file(self._parts)
            self._created = True
        for start in range(0, len(chunks), _MAX_BUFFERS):
            write_all(self._fd, chunks[start:start + _MAX_BUFFERS])
        for chunk in chunks:
            self._digest.update(chunk)


class BlobWriter(GatheringWriter):
    """Writer of one new file in `staging/`, from its first byte to `finish` or `abort`."""

    def __init__(self, folders: Folders, pool: ThreadPoolExecutor, staged_name: str) -> None:
        self._file = _NewFile(folders, staged_name)
        super().__init__(pool, self._file)

    async def finish(self) -> tuple[int, str]:
        """Write the rest and close; return the size, and the SHA-256 in lowercase hex. Raises as `write` does."""
        await self._await_write()
        return self.size_bytes, await self._run(self._file.finish, self._take_gathered())

    async def abort(self) -> None:
        """Unlink the file after any running write. Safe to repeat; a cancelled call takes effect as well."""
        self._gathered.clear()
        await asyncio.shield(self._start(self._file.unlink))


def write_all(fd: int, chunks: list[bytes]) -> None:
    """Write every byte of at most 1,000 chunks, however short single writes are."""
    left = [memoryview(chunk) for chunk in chunks if chunk]
    while left:
        written = os.writev(fd, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]
