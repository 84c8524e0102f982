"""Periodic job that unlinks files without a record."""

import asyncio

import structlog

from longshore.shared.jobs import CycleDone, Sweep
from longshore.shared.state.quota import MIN_GRACE_S
from longshore.storage_worker.job_runner import job
from longshore.storage_worker.stores import Stores
from longshore.storage_worker.sweeping.entries import slices_by_scope
from longshore.storage_worker.sweeping.expired_entries import ExpiredEntry, find_expired
from longshore.storage_worker.unlink import unlink_folder

log = structlog.get_logger(__name__)


@job(Sweep, timeout_s=600.0, keep_result_s=0)
async def sweep(stores: Stores, _order: Sweep) -> CycleDone:
    """Unlink staged files and files without record that were not touched for the grace time.

    Clients that disconnect and workers that are killed leave them. Asks Redis about each, a slice of the volume at a
    time. Repeatable: a removed file is not found again. Raises Unavailable.
    """
    grace_ns = max(stores.policy.orphan_grace_s, MIN_GRACE_S) * 1_000_000_000
    expired = find_expired(stores.blobs.folders, await stores.blobs.volume_time_ns() - grace_ns)
    removed = 0
    async for by_scope in slices_by_scope(stores.blobs, expired):
        for entry in await _without_record(stores, by_scope):
            removed += await unlink_folder(stores, entry.parts)
    if removed:
        log.info("sweep_cycle", removed_orphan_files=removed)
    return CycleDone(removed={"removed_orphan_files": removed})


async def _without_record(stores: Stores, by_scope: dict[str, list[ExpiredEntry]]) -> list[ExpiredEntry]:
    """Entries that neither a record nor a reservation belongs to."""
    orphans = by_scope.pop("", [])
    exist = await asyncio.gather(
        *(stores.files.which_exist(scope, [entry.file_id for entry in mine]) for scope, mine in by_scope.items())
    )
    for mine, known in zip(by_scope.values(), exist, strict=True):
        orphans += [entry for entry, is_known in zip(mine, known, strict=True) if not is_known]
    return orphans
