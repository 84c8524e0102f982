"""Periodic job that expires sessions, tombstones, files and pending artifacts."""

import asyncio
from collections import Counter, defaultdict

import structlog

from longshore.shared.jobs import Cleanup, CycleDone
from longshore.shared.state.due import DueItem, FileKind
from longshore.shared.state.expiry import Expiry
from longshore.shared.storage.layout import artifact_parts, parts_of, upload_parts
from longshore.storage_worker.job_runner import job
from longshore.storage_worker.stores import Stores
from longshore.storage_worker.unlink import unlink_folder, unlink_scope

log = structlog.get_logger(__name__)

_BATCH = 100
_CONCURRENCY = 8                 # other commands wait in Redis behind these
_CHECKED_RECORDS = 250             # of each kind, per cycle
_DANGLING: dict[FileKind, str] = {"u": "removed_dangling_upload_records", "a": "removed_dangling_artifact_records"}
_Removed = tuple[str, int, str]    # kind, count, server of a session

KINDS = (
    "expired_sessions", "tombstoned_sessions", "removed_tombstones", "removed_uploads", "removed_artifacts",
    "removed_dangling_upload_records", "removed_dangling_artifact_records", "removed_orphan_files",
)


@job(Cleanup, timeout_s=120.0, keep_result_s=0)
async def cleanup(stores: Stores, _order: Cleanup) -> CycleDone:
    """Expire all items that are due, in batches: the cost grows with the number of due items only.

    Record before file: a file that is unlinked has no record any more. Repeatable at every line: the script decides
    once who drops a record, and the sweep removes a file that a killed worker left. Each cycle also checks a few
    records, due or not, and drops those whose file is missing.
    """
    removed, sessions = dict.fromkeys(KINDS, 0), defaultdict[str, Counter[str]](Counter)
    before: list[DueItem] = []
    while (batch := await stores.due.batch(_BATCH)) and batch != before:  # items that fail stay for the next cycle
        for start in range(0, len(batch), _CONCURRENCY):
            for kind, count, server in await asyncio.gather(
                *(_expire(stores, item) for item in batch[start:start + _CONCURRENCY])
            ):
                removed[kind] += count
                if server and count:
                    sessions[server][kind] += count
        before = batch
    for kind, count in (await _drop_dangling(stores)).items():
        removed[kind] = count
    if any(removed.values()):
        log.info("cleanup_cycle", **removed)
    return CycleDone(removed=removed, sessions={server: dict(kinds) for server, kinds in sessions.items()})


async def _expire(stores: Stores, item: DueItem) -> _Removed:
    """Expire one item if it is still due."""
    match item.kind:
        case "s":
            return await _expire_session(stores, item.scope)
        case "t":
            return "removed_tombstones", await _remove_tombstone(stores, item.scope), ""
        case "p":
            return "removed_orphan_files", await _expire_pending(stores, item), ""
        case "u" | "a":
            return await _expire_file(stores, item)


async def _drop_dangling(stores: Stores) -> Counter[str]:
    """Check the next few records and drop those whose file is missing. Raises Unavailable if the volume is missing."""
    dropped: Counter[str] = Counter()
    for kind, name in _DANGLING.items():
        records = await stores.due.next_files(kind, _CHECKED_RECORDS)
        exist = await stores.blobs.which_exist([parts_of(record) for record in records])
        missing = [record for record, is_there in zip(records, exist, strict=True) if not is_there]
        # A record that was removed since the check, before its file, is not counted.
        drops = await asyncio.gather(*(stores.files.drop(record.scope, record.id) for record in missing))
        dropped[name] += sum(drops)
    return dropped


async def _remove_tombstone(stores: Stores, session_id: str) -> int:
    if not await stores.expiry.remove_tombstone(session_id):
        return 0
    await unlink_scope(stores, session_id)
    return 1


async def _expire_pending(stores: Stores, item: DueItem) -> int:
    if not await stores.files.drop_pending(item.scope, item.file_id, only_due=True):
        return 0
    return await unlink_folder(stores, artifact_parts(item.scope, item.file_id, "")[:-1])


async def _expire_file(stores: Stores, item: DueItem) -> _Removed:
    name, parts = ("removed_uploads", upload_parts) if item.kind == "u" else ("removed_artifacts", artifact_parts)
    if not await stores.files.drop(item.scope, item.file_id, only_due=True):
        return name, 0, ""
    await unlink_folder(stores, parts(item.scope, item.file_id, "")[:-1])
    return name, 1, ""


async def _expire_session(stores: Stores, session_id: str) -> _Removed:
    expired = await stores.expiry.expire(session_id)
    match expired.outcome:
        case Expiry.EXPIRED:
            return "tombstoned_sessions", 1, expired.server
        case Expiry.ENDED:
            await unlink_scope(stores, session_id)
            return "expired_sessions", 1, expired.server
        case Expiry.KEPT:
            return "expired_sessions", 0, ""
