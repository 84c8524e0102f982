"""Sampler of process metrics: once a second, event loop lag, Redis round trip time, and the totals in Redis."""

import asyncio

from longshore.shared.clock import monotonic_s
from longshore.shared.errors import StoreDown
from longshore.shared.process_metrics import ProcessMetrics
from longshore.shared.state.totals import TotalsStore

_EVERY_S = 1.0


async def sample_process(store: TotalsStore, metrics: ProcessMetrics) -> None:
    """Sample once a second until cancelled. While Redis is away, the last totals stay."""
    while True:
        await _measure_redis(store, metrics)
        started_s = monotonic_s()
        await asyncio.sleep(_EVERY_S)
        metrics.loop_lag.observe(max(0.0, monotonic_s() - started_s - _EVERY_S))


async def _measure_redis(store: TotalsStore, metrics: ProcessMetrics) -> None:
    started_s = monotonic_s()
    try:
        totals = await store.read()
    except StoreDown:
        metrics.redis_up.set(0)
        return
    metrics.redis_seconds.observe(monotonic_s() - started_s)
    metrics.redis_up.set(1)
    metrics.set_totals(totals)
