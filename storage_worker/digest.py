"""Reads a file once: size, SHA-256, first bytes, UTF-8 validity; copies it on the way if asked. Blocking."""

import codecs
import errno
import hashlib
import os
from dataclasses import dataclass

from longshore.shared.storage.blob_writer import write_all
from longshore.shared.storage.blobs import HEAD_BYTES

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Digest:
    """A file as it was read."""

    size_bytes: int
    sha256: str
    is_utf8: bool            # the whole file
    head: bytes


def read_digest(source: int, copy_to: int | None = None) -> Digest:
    """Read `source` from its beginning and write it to `copy_to`. EBUSY if the file changes meanwhile."""
    before = os.fstat(source)
    digest, text, head, size = hashlib.sha256(), _Utf8Check(), b"", 0
    while chunk := os.pread(source, _CHUNK_BYTES, size):
        head = head or chunk[:HEAD_BYTES]
        size += len(chunk)
        digest.update(chunk)
        text.feed(chunk)
        if copy_to is not None:
            write_all(copy_to, [chunk])
    after = os.fstat(source)
    if size != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise OSError(errno.EBUSY, "the file changed while it was read")
    return Digest(size_bytes=size, sha256=digest.hexdigest(), is_utf8=text.finish(), head=head)


class _Utf8Check:
    """Validates a stream of bytes as UTF-8; skips what follows the first invalid byte."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._valid = True

    def feed(self, chunk: bytes, *, final: bool = False) -> None:
        if self._valid:
            try:
                _ = self._decoder.decode(chunk, final)
            except UnicodeDecodeError:
                self._valid = False

    def finish(self) -> bool:
        """True if the whole stream was valid."""
        self.feed(b"", final=True)
        return self._valid
