"""Job that unlinks the files of a scope that has ended."""

from longshore.shared.jobs import Removed, RemoveScope
from longshore.storage_worker.job_runner import job
from longshore.storage_worker.stores import Stores


@job(RemoveScope, timeout_s=60.0)
async def remove_scope(stores: Stores, order: RemoveScope) -> Removed:
    """Unlink every file of a scope whose records were removed; nothing while its session lives.

    Repeatable: a removed file is not found again.
    """
    if await stores.files.is_live(order.scope):
        return Removed(files=0)
    return Removed(files=await stores.blobs.remove_scope(order.scope))
