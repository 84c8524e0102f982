"""Commits file records, evicting others for them where quotas require it, and unlinks the evicted files."""

import asyncio
from collections.abc import Sequence

import structlog

from longshore.shared.records import FileRecord
from longshore.shared.storage.layout import folder_of
from longshore.storage_worker.stores import Stores
from longshore.storage_worker.unlink import unlink_folder

log = structlog.get_logger(__name__)


async def commit(
    stores: Stores, scope: str, records: Sequence[FileRecord], *, reservation: str = ""
) -> list[FileRecord]:
    """Commit `records`, all or none, and unlink the files evicted for them. Returns the records as stored.

    Repeatable: records of evicted files are removed before the files, so that the sweep finds a file which a killed
    worker left. Raises SessionGone, OverQuota, StoreDown.
    """
    while True:
        done = await stores.files.commit(scope, records, reservation=reservation)
        if done.evicted:
            log.info("files_evicted", files=len(done.evicted), size_bytes=sum(r.size_bytes for r in done.evicted))
            await asyncio.gather(*(unlink_folder(stores, folder_of(record)) for record in done.evicted))
        if done.is_done:
            return done.stored
