"""Bytes appended to a file in staging, by several writers one after the other."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from longshore.shared.errors import LongshoreError
from longshore.shared.storage.layout import staging_parts
from tests.fixtures.storage import opened_blobs

_MIB = 1024 * 1024
_CONTENT = b"".join(bytes([number]) * _MIB for number in range(4))


@contextmanager
def _files_of_at_most(size_bytes: int) -> Iterator[None]:
    """A disk that is full inside the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_nothing_is_written_after_missing_bytes(tmp_path: Path) -> None:
    """A disk that is full in the middle and has room again afterwards: the file continues at the same offset."""
    async with opened_blobs(tmp_path) as blobs:
        await blobs.create_staged("a")
        writer = blobs.part_writer("a", offset=0, checksum="")
        await writer.write(_CONTENT[:_MIB])
        durable = await writer.flush()
        with _files_of_at_most(_MIB + _MIB // 2):
            await writer.write(_CONTENT[_MIB:2 * _MIB])
            with pytest.raises(LongshoreError):
                await writer.write(_CONTENT[2 * _MIB:3 * _MIB])
        with pytest.raises(LongshoreError):
            await writer.flush()
        await writer.close()

        again = blobs.part_writer("a", offset=durable, checksum="")
        await again.write(_CONTENT[durable:])
        end = await again.flush()
        await again.close()

        assert (durable, end) == (_MIB, 4 * _MIB)
        assert tmp_path.joinpath(*staging_parts("a")).read_bytes() == _CONTENT
