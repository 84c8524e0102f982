"""The periodic job that unlinks files which belong to nothing."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

import structlog

from longshore.shared.jobs import CycleDone, Sweep
from longshore.shared.state.quota import MIN_GRACE_S
from longshore.storage_worker.job_runner import job
from longshore.storage_worker.stores import Stores
from longshore.storage_worker.sweeping.expired_entries import ExpiredEntry, walk
from longshore.storage_worker.unlink import unlink_folder

log = structlog.get_logger(__name__)

_SLICE = 200


@job(Sweep, timeout_s=600.0, keep_result_s=0)
async def sweep(stores: Stores, _order: Sweep) -> CycleDone:
    """Unlink staged files and files without record that were not touched for the grace time.

    Such are left by clients that broke off and workers that were killed. Goes through the volume in slices
    and asks Redis about each, so that its memory does not grow with what exists. Repeatable: what is gone
    is not found again. Raises Unavailable.
    """
    grace_ns = max(stores.policy.orphan_grace_s, MIN_GRACE_S) * 1_000_000_000
    leftovers = walk(stores.blobs.folders, await stores.blobs.volume_time_ns() - grace_ns)
    removed = 0
    while found := await stores.blobs.run(_next, leftovers):
        for parts in await _unknown(stores, found):
            removed += await unlink_folder(stores, parts)
    if removed:
        log.info("sweep_cycle", removed_orphan_files=removed)
    return CycleDone(removed={"removed_orphan_files": removed})


def _next(leftovers: Iterator[ExpiredEntry]) -> list[ExpiredEntry]:
    return list(islice(leftovers, _SLICE))


async def _unknown(stores: Stores, found: list[ExpiredEntry]) -> list[tuple[str, ...]]:
    """The places of those that no record and no reservation stands for."""
    by_scope: defaultdict[str, list[ExpiredEntry]] = defaultdict(list)
    for leftover in found:
        by_scope[leftover.scope].append(leftover)
    unknown = [leftover.parts for leftover in by_scope.pop("", [])]
    asked = await asyncio.gather(
        *(stores.files.which_exist(scope, [leftover.file_id for leftover in mine]) for scope, mine in by_scope.items())
    )
    for mine, known in zip(by_scope.values(), asked, strict=True):
        unknown += [leftover.parts for leftover, there in zip(mine, known, strict=True) if not there]
    return unknown
