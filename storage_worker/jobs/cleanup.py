"""The periodic job that ends what has fallen due."""

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
_AT_ONCE = 8                 # calls wait in Redis behind what is asked at once
_LOOKED_AT = 250             # records of each kind that are looked at in a cycle
_DANGLING: dict[FileKind, str] = {"u": "removed_dangling_upload_records", "a": "removed_dangling_artifact_records"}
_Ended = tuple[str, int, str]    # kind, how many, the server of a session

KINDS = (
    "expired_sessions", "tombstoned_sessions", "removed_tombstones", "removed_uploads", "removed_artifacts",
    "removed_dangling_upload_records", "removed_dangling_artifact_records", "removed_orphan_files",
)


@job(Cleanup, timeout_s=120.0, keep_result_s=0)
async def cleanup(stores: Stores, _order: Cleanup) -> CycleDone:
    """Expire files and pending artifacts that are due, in batches: the cost grows with what is due alone.

    Record before file: a file that is unlinked has no record any more. Repeatable at every line: the script
    decides once who drops a record, and a file that was left behind by a killed worker is the sweep's.
    A few records are looked at besides, due or not, whether their file is there; the next cycle takes others.
    """
    removed, sessions = dict.fromkeys(KINDS, 0), defaultdict[str, Counter[str]](Counter)
    before: list[DueItem] = []
    while (batch := await stores.due.batch(_BATCH)) and batch != before:  # what cannot be ended waits a cycle
        for start in range(0, len(batch), _AT_ONCE):
            for kind, count, server in await asyncio.gather(
                *(_end(stores, item) for item in batch[start:start + _AT_ONCE])
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


async def _end(stores: Stores, item: DueItem) -> _Ended:
    """End one item if it is due still. What was removed, by kind; of sessions, of which server they were."""
    match item.kind:
        case "s":
            return await _end_session(stores, item.scope)
        case "t":
            return "removed_tombstones", await _end_tombstone(stores, item.scope), ""
        case "p":
            return "removed_orphan_files", await _end_pending(stores, item), ""
        case "u" | "a":
            return await _end_file(stores, item)


async def _drop_dangling(stores: Stores) -> Counter[str]:
    """Drop the records of the next few files that are not in storage any more. Raises Unavailable when the
    volume itself is gone."""
    dropped: Counter[str] = Counter()
    for kind, name in _DANGLING.items():
        records = await stores.due.next_files(kind, _LOOKED_AT)
        there = await stores.blobs.which_exist([parts_of(record) for record in records])
        lost = [record for record, is_there in zip(records, there, strict=True) if not is_there]
        # A record that went before its file, since we asked, is not there to be dropped.
        drops = await asyncio.gather(*(stores.files.drop(record.scope, record.id) for record in lost))
        dropped[name] += sum(drops)
    return dropped


async def _end_tombstone(stores: Stores, session_id: str) -> int:
    if not await stores.expiry.remove_tombstone(session_id):
        return 0
    await unlink_scope(stores, session_id)
    return 1


async def _end_pending(stores: Stores, item: DueItem) -> int:
    if not await stores.files.drop_pending(item.scope, item.file_id, only_due=True):
        return 0
    return await unlink_folder(stores, artifact_parts(item.scope, item.file_id, "")[:-1])


async def _end_file(stores: Stores, item: DueItem) -> _Ended:
    name, parts = ("removed_uploads", upload_parts) if item.kind == "u" else ("removed_artifacts", artifact_parts)
    if not await stores.files.drop(item.scope, item.file_id, only_due=True):
        return name, 0, ""
    await unlink_folder(stores, parts(item.scope, item.file_id, "")[:-1])
    return name, 1, ""


async def _end_session(stores: Stores, session_id: str) -> _Ended:
    expired = await stores.expiry.expire(session_id)
    match expired.outcome:
        case Expiry.EXPIRED:
            return "tombstoned_sessions", 1, expired.server
        case Expiry.ENDED:
            await unlink_scope(stores, session_id)
            return "expired_sessions", 1, expired.server
        case Expiry.KEPT:
            return "expired_sessions", 0, ""
