"""Heartbeat of a worker: registers it as alive, renews its job claims, and enqueues periodic jobs that are due."""

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
from longshore.storage_worker.arq_worker import ArqWorker
from longshore.storage_worker.reconcile_trigger import ReconcileTrigger

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """A job that one of the workers runs once per interval, by the clock of Redis."""

    payload: Payload
    interval_s: int


class Heartbeat:
    """Task that runs beside the worker until it is cancelled."""

    def __init__(
        self, worker: ArqWorker, workers: Workers, periodic: PeriodicJobs, metrics: WorkerMetrics,
        jobs: Sequence[PeriodicJob], reconcile_trigger: ReconcileTrigger,
    ) -> None:
        self._worker = worker
        self._workers = workers
        self._periodic = periodic
        self._metrics = metrics
        self._reconcile_trigger = reconcile_trigger
        self._due_s = dict.fromkeys(jobs, 0.0)

    async def run(self) -> None:
        """Send heartbeats until cancelled, also while Redis is down."""
        while True:
            try:
                await self._send()
            except StoreDown:
                log.warning("heartbeat_missed")
            await asyncio.sleep(HEARTBEAT_EVERY_S)

    async def _send(self) -> None:
        heartbeat = await self._workers.heartbeat(self._worker.worker_id, self._worker.running_jobs)
        if heartbeat.lost:
            self._metrics.jobs_lost.inc(heartbeat.lost)
        await self._reconcile_trigger.trigger_at_start()
        for job, due_s in self._due_s.items():
            if monotonic_s() >= due_s and await self._is_allowed(job):
                left_ms = await self._periodic.enqueue(job.payload, interval_ms=job.interval_s * 1000)
                self._due_s[job] = monotonic_s() + left_ms / 1000

    async def _is_allowed(self, job: PeriodicJob) -> bool:
        """False for a sweep until reconciliation is done: files whose record was lost must not be swept."""
        return not isinstance(job.payload, Sweep) or await self._reconcile_trigger.is_reconciled()
