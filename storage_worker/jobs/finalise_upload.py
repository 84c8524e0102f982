"""Job that makes the files of an upload request visible."""

from longshore.shared.clock import now_ms
from longshore.shared.errors import NotFound, Refused
from longshore.shared.jobs import FinaliseUpload, StagedFile, UploadsDone
from longshore.shared.records import UploadRecord
from longshore.shared.storage.blobs import Move
from longshore.shared.storage.layout import staging_parts, upload_parts
from longshore.shared.storage.media_types import sniff
from longshore.storage_worker.commit import commit
from longshore.storage_worker.job_runner import job
from longshore.storage_worker.stores import Stores


@job(FinaliseUpload, timeout_s=30.0)
async def finalise_upload(stores: Stores, order: FinaliseUpload) -> UploadsDone:
    """Check every file of one request, move the files into storage and commit their records, all or none.

    Files before records: a record never points at bytes that are not there. Repeatable at every line: a file that was
    moved already stays, and the script charges once. A refusal leaves no file of the request; if Redis or the volume
    is down, the files stay for the retry or the sweep. Raises NotFound, SessionGone, Unavailable, DiskFull.
    """
    try:
        records = [await _record(stores, order, file) for file in order.files]
        await stores.blobs.move_in([Move(file.staged_name, _target(order, file)) for file in order.files])
        stored = await commit(stores, order.scope, records, reservation=order.reservation)
    except Refused:
        await _roll_back(stores, order)
        raise
    return UploadsDone(records=[record for record in stored if isinstance(record, UploadRecord)])


async def _record(stores: Stores, order: FinaliseUpload, file: StagedFile) -> UploadRecord:
    found = await stores.blobs.peek(staging_parts(file.staged_name), _target(order, file))
    if found.size_bytes != file.size_bytes:
        raise NotFound("a file of this upload is not complete any more; upload it again")
    return UploadRecord(
        id=file.id,
        scope=order.scope,
        server=order.server,
        name=file.name,
        stored_name=file.stored_name,
        media_type=sniff(found.head, file.name, file.media_type),
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        created_ms=now_ms(),
    )


async def _roll_back(stores: Stores, order: FinaliseUpload) -> None:
    """Unlink the files of the request, except those that an earlier run committed."""
    known = await stores.files.which_exist(order.scope, [file.id for file in order.files])
    paths = [staging_parts(file.staged_name) for file in order.files]
    paths += [_target(order, file) for file, is_known in zip(order.files, known, strict=True) if not is_known]
    await stores.blobs.discard(*paths)


def _target(order: FinaliseUpload, file: StagedFile) -> tuple[str, ...]:
    return upload_parts(order.scope, file.id, file.stored_name)
