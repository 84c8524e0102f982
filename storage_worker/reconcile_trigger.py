"""When the storage is reconciled with Redis: at a worker's start, and before anything is swept."""

from longshore.shared.config import ReconciliationMode
from longshore.shared.jobs import Reconcile
from longshore.shared.state.periodic import PeriodicJobs
from longshore.shared.state.reconciliation import ReconciliationStore

_WAVE_MS = 60_000            # workers that start together cause one pass


class ReconcileTrigger:
    """One worker's part in it: any of them may ask for the pass, and one does it."""

    def __init__(self, mode: ReconciliationMode, store: ReconciliationStore, periodic: PeriodicJobs) -> None:
        self._mode = mode
        self._store = store
        self._periodic = periodic
        self._begun = mode == "disabled"

    async def begin(self) -> None:
        """Have the pass of this start done, once. Raises StoreDown; then it is called again."""
        if self._begun:
            return
        if self._mode == "always":
            await self._ask()
        else:
            _ = await self.is_over()
        self._begun = True

    async def is_over(self) -> bool:
        """Whether Redis knows the storage, so that what it does not know may be removed. If not, has that mended.

        Also long after the start: a Redis that was emptied under running workers is none whose word counts.
        """
        if self._mode == "disabled":
            return True
        last = await self._store.last()
        if last is not None and last.finished_ms:
            return True
        await self._ask()
        return False

    async def _ask(self) -> None:
        await self._periodic.enqueue(Reconcile(), interval_ms=_WAVE_MS)
