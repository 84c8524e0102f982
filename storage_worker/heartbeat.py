"""The worker's heartbeat: says that it lives, holds its claims, and has periodic jobs enqueued when they are due."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from longshore.shared.clock import monotonic_s
from longshore.shared.errors import StoreDown
from longshore.shared.jobs import Payload, Sweep
from longshore.shared.metrics import WorkerMetrics
from longshore.shared.state.periodic import PeriodicJobs
from longshore.shared.state.workers import HEARTBEAT_EVERY_S, Workers
from longshore.storage_worker.arq_worker import WakeWorker
from longshore.storage_worker.reconcile_trigger import ReconcileTrigger

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Every:
    """A periodic job: once an interval, by Redis' clock, in whichever worker."""

    payload: Payload
    interval_s: int


class Heartbeat:
    """Runs beside the worker until it is cancelled."""

    def __init__(
        self, worker: WakeWorker, workers: Workers, periodic: PeriodicJobs, metrics: WorkerMetrics,
        jobs: Sequence[Every], awakening: ReconcileTrigger,
    ) -> None:
        self._worker = worker
        self._workers = workers
        self._periodic = periodic
        self._metrics = metrics
        self._awakening = awakening
        self._due_s = dict.fromkeys(jobs, 0.0)

    async def run(self) -> None:
        """Beat for ever, also while Redis is away."""
        while True:
            try:
                await self._beat()
            except StoreDown:
                log.warning("heartbeat_missed")
            await asyncio.sleep(HEARTBEAT_EVERY_S)

    async def _beat(self) -> None:
        beat = await self._workers.heartbeat(self._worker.worker_id, self._worker.running)
        if beat.lost:
            self._metrics.jobs_lost.inc(beat.lost)
        await self._awakening.begin()
        for every, due_s in self._due_s.items():
            if monotonic_s() >= due_s and await self._may_run(every):
                left_ms = await self._periodic.enqueue(every.payload, interval_ms=every.interval_s * 1000)
                self._due_s[every] = monotonic_s() + left_ms / 1000

    async def _may_run(self, every: Every) -> bool:
        """Files without record are not swept before those that have lost theirs had it restored."""
        return not isinstance(every.payload, Sweep) or await self._awakening.is_over()
