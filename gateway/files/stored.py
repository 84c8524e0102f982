"""Opens the files of records on the storage volume. A record whose file is missing is dropped."""

from longshore.shared.errors import NotFound
from longshore.shared.records import FileRecord
from longshore.shared.state.files import FileStore
from longshore.shared.storage.blobs import Blobs
from longshore.shared.storage.layout import parts_of

_GONE = "the file is not in storage any more; upload or create it again"


async def check_exists(blobs: Blobs, files: FileStore, record: FileRecord) -> None:
    """Raise NotFound, and drop the record, if its file is missing; Unavailable if the volume is."""
    if not await blobs.exists(parts_of(record)):
        await files.drop(record.scope, record.id)
        raise NotFound(_GONE)


async def open_file(blobs: Blobs, files: FileStore, record: FileRecord) -> int:
    """Open the file and return its descriptor, which the caller closes. Raises as `check_exists`."""
    try:
        return await blobs.open_read(parts_of(record))
    except NotFound:
        await check_exists(blobs, files, record)
        raise
