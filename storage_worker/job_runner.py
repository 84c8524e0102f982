"""Runs jobs for arq: decodes the payload, times the run and turns an error into an outcome.

An exception does not survive msgpack on its way to the gateway. `Refused` becomes an outcome at once, `Unavailable`
after a few more tries. Any other exception is a bug: it is logged with a trace id, and the outcome names that id.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import structlog
from arq import Retry
from arq.worker import Function, func

from longshore.shared import tracing
from longshore.shared.clock import monotonic_s, now_s
from longshore.shared.error_records import refusal_of
from longshore.shared.errors import Refused, Unavailable, WorkerDown
from longshore.shared.ids import new_id
from longshore.shared.jobs import Cleanup, CycleDone, JobRefused, NothingFound, Outcome, Payload
from longshore.shared.metrics import WorkerMetrics
from longshore.shared.state.queue import job_name
from longshore.shared.tracing import Traces
from longshore.storage_worker.stores import Stores

log = structlog.get_logger(__name__)

P = TypeVar("P", bound=Payload)
Work = Callable[[Stores, P], Awaitable[Outcome]]

_RETRY_AFTER_S = (0.1, 0.5, 2.0)
_UNAVAILABLE_STATUSES = frozenset({502, 503, 504})       # `Unavailable`, after its tries
_TRANSITIONS = {"tombstoned_sessions": "idle_expired_tombstoned", "expired_sessions": "idle_expired_deleted"}
_SLACK_S = 5.0               # arq's own timeout is later, so that ours makes the outcome


@dataclass(frozen=True, slots=True)
class Job(Generic[P]):
    """One job: its payload's type, its coroutine function, and its timeout."""

    payload: type[P]
    work: Work[P]
    timeout_s: float
    keep_result_s: float

    @property
    def name(self) -> str:
        return job_name(self.payload)


def job(payload: type[P], *, timeout_s: float, keep_result_s: float = 60.0) -> Callable[[Work[P]], Job[P]]:
    """Decorate a coroutine function as the job of `payload`; `keep_result_s` is 0 for jobs without a caller."""
    return lambda work: Job(payload=payload, work=work, timeout_s=timeout_s, keep_result_s=keep_result_s)


class JobRunner:
    """Runs jobs for arq."""

    def __init__(self, stores: Stores, metrics: WorkerMetrics, traces: Traces | None = None) -> None:
        self._stores = stores
        self._traces = traces
        self._metrics = metrics

    def function(self, job: Job[P]) -> Function:
        """Wrap `job` as a function of arq."""
        decoder = msgspec.msgpack.Decoder(job.payload)
        for result in ("dead", "failed"):   # series that begin at 0, so that an alert sees the first
            self._metrics.jobs_finished.labels(job=job.name, result=result)

        async def run(ctx: dict[str, Any], body: bytes) -> Outcome:
            outcome = await self._run(job, decoder, body, tries=ctx["job_try"])
            # The clocks of two hosts may differ: a job never ends before it was enqueued.
            since_s = max(0.0, now_s() - ctx["enqueue_time"].timestamp())
            self._metrics.job_finish_seconds.labels(job.name).observe(since_s)
            return outcome

        return func(run, name=job.name, timeout=job.timeout_s + _SLACK_S, keep_result=job.keep_result_s)

    async def _run(self, job: Job[P], decoder: "msgspec.msgpack.Decoder[P]", body: bytes, *, tries: int) -> Outcome:
        started_s = monotonic_s()
        result = "cancelled"
        try:
            outcome = await self._outcome(job, decoder, body, tries)
            result = _result_label(outcome)
            self._count_cycle(job, outcome)
        except Retry:
            result = "retried"
            raise
        finally:
            self._metrics.jobs_finished.labels(job=job.name, result=result).inc()
            self._metrics.job_seconds.labels(job=job.name).observe(monotonic_s() - started_s)
        return outcome

    def _count_cycle(self, job: Job[P], outcome: Outcome) -> None:
        if isinstance(outcome, CycleDone):
            for kind, count in outcome.removed.items():
                self._metrics.cleanup_removed.labels(server_id="global", bucket=kind).inc(count)
            for server, kinds in outcome.sessions.items():
                for kind, count in kinds.items():
                    self._metrics.sessions.labels(server, _TRANSITIONS[kind]).inc(count)
        if job.payload is Cleanup:
            status = "success" if isinstance(outcome, CycleDone) else "error"
            self._metrics.cleanup_cycles.labels(server_id="global", status=status).inc()

    async def _outcome(
        self, job: Job[P], decoder: "msgspec.msgpack.Decoder[P]", body: bytes, tries: int
    ) -> Outcome:
        try:
            async with asyncio.timeout(job.timeout_s):
                order = decoder.decode(body)
                with tracing.continue_trace(self._traces, f"run {job.name}", "consumer", order.traceparent):
                    return await job.work(self._stores, order)
        except Refused as err:
            return refusal_of(err)
        except Unavailable as err:
            if tries <= len(_RETRY_AFTER_S):
                log.warning("job_retried", job=job.name, reason=err.reason, tries=tries)
                raise Retry(defer=_RETRY_AFTER_S[tries - 1]) from err
            return refusal_of(err)
        except TimeoutError:
            log.warning("job_timed_out", job=job.name)
            return refusal_of(WorkerDown("the storage worker took too long; try again shortly"))
        except Exception:  # arq could only report that there was an error
            trace_id = new_id()
            log.exception("job_failed", job=job.name, trace_id=trace_id)
            return JobRefused(
                status=500, code=-32603, reason="internal", message=f"an internal error; its trace id is {trace_id}"
            )


def _result_label(outcome: Outcome) -> str:
    if isinstance(outcome, JobRefused):
        if outcome.reason == "internal":
            return "failed"
        return "dead" if outcome.status in _UNAVAILABLE_STATUSES else "refused"
    return "nothing_found" if isinstance(outcome, NothingFound) else "done"
