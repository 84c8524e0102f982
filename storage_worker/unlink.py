"""Unlinking the files of what was forgotten. What cannot be unlinked now costs its neighbours nothing: the sweep
comes back to it."""

from collections.abc import Awaitable

import structlog

from longshore.shared.errors import LongshoreError
from longshore.storage_worker.stores import Stores

log = structlog.get_logger(__name__)


async def unlink_folder(stores: Stores, parts: tuple[str, ...]) -> int:
    """Unlink a folder with all that is in it, if that can be done. The number of files."""
    return await _if_possible(stores.blobs.remove_folder(parts))


async def unlink_scope(stores: Stores, scope: str) -> int:
    """Unlink every upload and artifact of a scope that can be unlinked. The number of files."""
    return await _if_possible(stores.blobs.remove_scope(scope))


async def _if_possible(removal: Awaitable[int]) -> int:
    try:
        return await removal
    except LongshoreError as err:
        log.warning("files_left_behind", reason=err.reason)
        return 0
