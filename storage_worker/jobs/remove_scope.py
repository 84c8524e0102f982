"""The job that unlinks the files of a scope that has ended."""

from longshore.shared.jobs import Removed, RemoveScope
from longshore.storage_worker.job_runner import job
from longshore.storage_worker.stores import Stores


@job(RemoveScope, timeout_s=60.0)
async def remove_scope(stores: Stores, order: RemoveScope) -> Removed:
    """Unlink every file of a scope whose records are gone; nothing while its session lives.

    Repeatable: what is gone is not there to be unlinked again.
    """
    if await stores.files.is_live(order.scope):
        return Removed(files=0)
    return Removed(files=await stores.blobs.remove_scope(order.scope))
