"""Enqueues reconciliation of the storage with Redis: when a worker starts, and before a sweep if Redis was emptied."""

from longshore.shared.config import ReconciliationMode
from longshore.shared.jobs import Reconcile
from longshore.shared.state.periodic import PeriodicJobs
from longshore.shared.state.reconciliation import ReconciliationStore

_MIN_INTERVAL_MS = 60_000            # workers that start together enqueue one job


class ReconcileTrigger:
    """Trigger of one worker: each may enqueue the job, and one of them runs it."""

    def __init__(self, mode: ReconciliationMode, store: ReconciliationStore, periodic: PeriodicJobs) -> None:
        self._mode = mode
        self._store = store
        self._periodic = periodic
        self._is_triggered = mode == "disabled"

    async def trigger_at_start(self) -> None:
        """Enqueue the reconciliation of this start, once. Raises StoreDown; then call it again."""
        if self._is_triggered:
            return
        if self._mode == "always":
            await self._enqueue()
        else:
            _ = await self.is_reconciled()
        self._is_triggered = True

    async def is_reconciled(self) -> bool:
        """True if Redis has the records of all files, so that others may be removed; else enqueue reconciliation.

        Also long after the start: Redis may be emptied while workers run.
        """
        if self._mode == "disabled":
            return True
        last = await self._store.last()
        if last is not None and last.finished_ms:
            return True
        await self._enqueue()
        return False

    async def _enqueue(self) -> None:
        await self._periodic.enqueue(Reconcile(), interval_ms=_MIN_INTERVAL_MS)
