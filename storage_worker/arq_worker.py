"""Worker of arq without polling: sleeps until a job is enqueued, and claims jobs with one script.

Keeps arq's `run_job`, retries and serialisation. Replaces how jobs are found (a script instead of a poll and four round
trips per job), how long the job of a dead worker is blocked (its claim expires within seconds, because a live worker
renews it) and how a result is delivered (published on the caller's channel).
"""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog
from arq.connections import ArqRedis
from arq.utils import timestamp_ms
from arq.worker import Function, Worker
from redis.exceptions import RedisError

from longshore.shared.errors import StoreDown
from longshore.shared.keys import Keys
from longshore.shared.metrics import WorkerMetrics
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script
from longshore.shared.state.workers import CLAIM_MS
from longshore.storage_worker.arq_pool import decode, encode

log = structlog.get_logger(__name__)

_CLAIM = Script("claim_jobs")
_FINISH = Script("finish_job")

_MAX_SLEEP_S = 5.0       # covers wake-ups that were lost
_RETRY_DELAY_S = 0.5
_FINISH_TRIES = 5
_MAX_TRIES = 5
_HEALTH_INTERVAL_S = 15


class ArqWorker(Worker):
    """Runs jobs until `stop`. `wake` may be called at any time, any number of times."""

    def __init__(  # noqa: PLR0913  (its parts; arq's constructor takes thirty)
        self, functions: Sequence[Function], *, pool: ArqRedis, link: RedisLink, keys: Keys, worker_id: str,
        metrics: WorkerMetrics, max_jobs: int = 16,
    ) -> None:
        super().__init__(
            functions, redis_pool=pool, queue_name=keys.queue(), handle_signals=False, max_jobs=max_jobs,
            poll_delay=0, max_tries=_MAX_TRIES, keep_result=60, health_check_interval=_HEALTH_INTERVAL_S,
            job_serializer=encode, job_deserializer=decode, log_results=False,
        )
        self.worker_id = worker_id
        self._link = link
        self._keys = keys
        self._metrics = metrics
        self._wake_event = asyncio.Event()

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake_event.set()

    @property
    def running_jobs(self) -> list[str]:
        """Ids of the jobs that run."""
        return [job_id for job_id, task in self.tasks.items() if not task.done()]

    async def stop(self, grace_s: float) -> None:
        """Start no more jobs, wait `grace_s` for running ones, then cancel them: another worker takes them over."""
        self.allow_pick_jobs = False
        running = [task for task in self.tasks.values() if not task.done()]
        if running:
            _, late = await asyncio.wait(running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with contextlib.suppress(RedisError, OSError):
            await self.pool.delete(self.health_check_key)
        await self.pool.aclose(close_connection_pool=True)

    async def main(self) -> None:
        """Claim and start jobs until cancelled; survives an outage of Redis."""
        while True:
            await self._poll_iteration()

    async def _poll_iteration(self) -> None:
        # Cleared before the queue is read: a wake-up that comes between the two must not be lost.
        self._wake_event.clear()
        try:
            sleep_s = await self._claim() if self.allow_pick_jobs else _MAX_SLEEP_S
            await self.record_health()
        except (StoreDown, RedisError, OSError) as err:
            log.warning("queue_unreachable", error=type(err).__name__)
            sleep_s = _RETRY_DELAY_S
        self._remove_finished()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(sleep_s):
                await self._wake_event.wait()

    async def _claim(self) -> float:
        """Start as many due jobs as there are free slots. Returns the seconds to sleep afterwards."""
        free = self.max_jobs - self.job_counter
        if free <= 0:
            return _MAX_SLEEP_S  # the first job that ends calls `wake`
        # A slot that becomes free during the script is not in `free`, but the end of its job has set the wake event.
        next_due_ms, *claimed = await self._link.run(
            _CLAIM, [self._keys.queue()], [self.worker_id, free, CLAIM_MS, self._keys.job_claim("")]
        )
        for job_id, waited_ms in zip(claimed[::2], claimed[1::2], strict=True):
            self._metrics.job_wait_seconds.observe(waited_ms / 1000)
            await self._start_job(job_id.decode())
        # When more are due than there were slots, this is 0: slots that are free by now are filled at once.
        return _MAX_SLEEP_S if next_due_ms < 0 else min(_MAX_SLEEP_S, next_due_ms / 1000)

    async def _start_job(self, job_id: str) -> None:
        if job_id in self.running_jobs:  # our own claim had expired and was renewed
            return
        await self.sem.acquire()
        self.job_counter += 1
        # The score is the time of this host, not of the queue: arq subtracts it from this host's clock for a retry.
        task = self.loop.create_task(self.run_job(job_id, timestamp_ms()))
        task.add_done_callback(self._on_job_end)
        self.tasks[job_id] = task

    def _on_job_end(self, task: "asyncio.Task[None]") -> None:
        self._release_sem_dec_counter_on_complete()
        self._wake_event.set()  # a slot is free, and due jobs may be waiting for one

    def _remove_finished(self) -> None:
        for job_id, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[job_id]
                if not task.cancelled() and (failure := task.exception()) is not None:
                    # Redis was down when the job started or ended: its claim expires and it runs again.
                    log.warning("job_left_behind", error=type(failure).__name__)

    async def finish_job(  # noqa: PLR0913  (arq's signature)
        self, job_id: str, finish: bool, result_data: bytes | None, result_timeout_s: float | None,
        keep_result_forever: bool, incr_score: int | None, keep_in_progress: float | None,
    ) -> None:
        """Remove the job from the queue and publish its result, or leave it to run again."""
        retry_ms = -1 if finish else incr_score or 0
        await self._finish(job_id, retry_ms, result_data, result_timeout_s)

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """Remove a job from the queue after arq has used up its tries."""
        await self._finish(job_id, -1, result_data, self.keep_result_s)

    async def _finish(self, job_id: str, retry_ms: int, result: bytes | None, keep_s: float | None) -> None:
        keys = self._keys
        caller, dot, _ = job_id.partition(".")
        channel = keys.worker_channel() if retry_ms >= 0 else keys.outcome_channel(caller) if dot else ""
        pushed = (result or b"") if dot else b""
        for attempt in range(_FINISH_TRIES):
            try:
                is_ours = await self._link.run(
                    _FINISH,
                    [
                        keys.queue(), keys.job(job_id), keys.job_result(job_id), keys.job_claim(job_id),
                        keys.job_tries(job_id),
                    ],
                    [self.worker_id, job_id, retry_ms, pushed, max(1, int((keep_s or 0) * 1000)), channel],
                )
            except StoreDown:  # the script may have run; running it twice has the same effect
                if attempt == _FINISH_TRIES - 1:
                    raise
                await asyncio.sleep(_RETRY_DELAY_S)
            else:
                if not is_ours:
                    log.warning("job_taken_over")
                return
