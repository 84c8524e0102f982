"""Reading a file once, from end to end: its digest, its beginning, whether it is text; copying on the way. Blocking."""

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


def read_through(source: int, sink: int | None = None) -> Digest:
    """Read `source` from its beginning, writing what is read to `sink`. EBUSY when somebody writes to it meanwhile."""
    before = os.fstat(source)
    digest, text, head, size = hashlib.sha256(), _Text(), b"", 0
    while chunk := os.pread(source, _CHUNK_BYTES, size):
        head = head or chunk[:HEAD_BYTES]
        size += len(chunk)
        digest.update(chunk)
        text.take(chunk)
        if sink is not None:
            write_all(sink, [chunk])
    after = os.fstat(source)
    if size != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise OSError(errno.EBUSY, "the file changed while it was read")
    return Digest(size_bytes=size, sha256=digest.hexdigest(), is_utf8=text.ends_well(), head=head)


class _Text:
    """Whether a stream of bytes is UTF-8; stops looking at the first byte that is not."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._valid = True

    def take(self, chunk: bytes, *, final: bool = False) -> None:
        if self._valid:
            try:
                _ = self._decoder.decode(chunk, final)
            except UnicodeDecodeError:
                self._valid = False

    def ends_well(self) -> bool:
        self.take(b"", final=True)
        return self._valid
