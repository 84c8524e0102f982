"""Takes the pulse of a process: once a second, how late its loop is, how fast Redis answers, and the totals there."""

import asyncio

from longshore.shared.clock import monotonic_s
from longshore.shared.errors import StoreDown
from longshore.shared.process_metrics import ProcessMetrics
from longshore.shared.state.totals import TotalsStore

_EVERY_S = 1.0


async def sample_process(store: TotalsStore, vitals: ProcessMetrics) -> None:
    """Measure until cancelled, also while Redis is away; then the last totals stay as they were."""
    while True:
        await _ask_redis(store, vitals)
        asleep_s = monotonic_s()
        await asyncio.sleep(_EVERY_S)
        vitals.loop_lag.observe(max(0.0, monotonic_s() - asleep_s - _EVERY_S))


async def _ask_redis(store: TotalsStore, vitals: ProcessMetrics) -> None:
    asked_s = monotonic_s()
    try:
        totals = await store.read()
    except StoreDown:
        vitals.redis_up.set(0)
        return
    vitals.redis_seconds.observe(monotonic_s() - asked_s)
    vitals.redis_up.set(1)
    vitals.show(totals)
