"""Unlinks files after their records were removed. A file that cannot be unlinked now is left to the sweep."""

from collections.abc import Awaitable

import structlog

from longshore.shared.errors import LongshoreError
from longshore.storage_worker.stores import Stores

log = structlog.get_logger(__name__)


async def unlink_folder(stores: Stores, parts: tuple[str, ...]) -> int:
    """Unlink a folder and all in it. Returns the number of files, 0 on failure."""
    return await _count_or_zero(stores.blobs.remove_folder(parts))


async def unlink_scope(stores: Stores, scope: str) -> int:
    """Unlink every upload and artifact of a scope. Returns the number of files, 0 on failure."""
    return await _count_or_zero(stores.blobs.remove_scope(scope))


async def _count_or_zero(removal: Awaitable[int]) -> int:
    try:
        return await removal
    except LongshoreError as err:
        log.warning("files_left_behind", reason=err.reason)
        return 0
