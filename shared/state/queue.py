"""Gateway side of the job queue: enqueues jobs and awaits their outcomes.

Writes arq's own envelope, so that arq's worker and tools read it. Outcomes are published on the gateway's
channel, which the job id names; the key of the result is the fallback for lost messages.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from longshore.shared import tracing
from longshore.shared.clock import monotonic_s, now_ms
from longshore.shared.error_records import error_of
from longshore.shared.errors import StoreDown, WorkerDown
from longshore.shared.ids import new_id
from longshore.shared.jobs import JobRefused, Outcome, Payload
from longshore.shared.keys import Keys
from longshore.shared.redis.address import RedisAddress
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script
from longshore.shared.redis.subscription import Subscription
from longshore.shared.tasks import Tasks

log = structlog.get_logger(__name__)

_ENQUEUE = Script("enqueue")
_WITHDRAW = Script("withdraw_job")

_POLL_EVERY_S = 1.0          # for a result whose message was lost
_DAY_MS = 86_400_000         # time in which a job that nobody awaits has to start

_payload_encoder = msgspec.msgpack.Encoder()


class _Result(msgspec.Struct):
    """Fields of arq's result of a finished job that are used here."""

    id: str
    s: bool
    r: msgspec.Raw


_result_decoder = msgspec.msgpack.Decoder(_Result)
_outcome_decoder: msgspec.msgpack.Decoder[Outcome] = msgspec.msgpack.Decoder(Outcome)


def job_name(payload: msgspec.Struct | type[msgspec.Struct]) -> str:
    """Return the name of a payload's job, which is its tag."""
    return str(payload.__struct_config__.tag)


def envelope(payload: Payload, enqueued_ms: int) -> bytes:
    """Encode a job as arq 0.28 stores it, with the payload in msgpack as its one argument."""
    body = _payload_encoder.encode(payload)
    return msgspec.msgpack.encode({"t": None, "f": job_name(payload), "a": (body,), "k": {}, "et": enqueued_ms})


class Queue:
    """Job queue of a gateway. Built once at start-up; `close` ends it.

    `gateway_id` holds no dot: it is the part of a job id before the first dot. `on_enqueued` gets the name of each
    job that was enqueued.
    """

    def __init__(
        self, link: RedisLink, keys: Keys, gateway_id: str, tasks: Tasks, *,
        on_enqueued: Callable[[str], None] | None = None,
    ) -> None:
        self._link = link
        self._keys = keys
        self._gateway_id = gateway_id
        self._tasks = tasks
        self._on_enqueued = on_enqueued
        self._waiting: dict[str, asyncio.Future[_Result]] = {}
        self._subscription: Subscription | None = None

    def subscribe(self, address: RedisAddress) -> Subscription:
        """Subscribe to outcomes. Without a subscription, or while it is down, polling finds them a second later."""
        self._subscription = Subscription(
            address, [self._keys.outcome_channel(self._gateway_id)], self._tasks,
            on_message=self._on_result, on_ready=self._fetch_all,
        )
        return self._subscription

    async def close(self) -> None:
        """Unsubscribe from outcomes."""
        if self._subscription is not None:
            await self._subscription.close()

    async def enqueue(self, payload: Payload, *, job_id: str | None = None, defer_ms: int = 0) -> bool:
        """Enqueue a job. False when one of this `job_id` is queued or runs already. Raises StoreDown."""
        return await self._enqueue(
            payload, job_id or new_id(), defer_ms=defer_ms, expires_ms=defer_ms + _DAY_MS
        )

    async def run(self, payload: Payload, *, timeout_s: float) -> Outcome:
        """Run a job now and return its outcome; it does not start once `timeout_s` has passed.

        Raises the error that refused the job, WorkerDown when no worker finished it in time (it was withdrawn, or a
        worker still runs it), StoreDown.
        """
        job_id = f"{self._gateway_id}.{new_id()}"
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting[job_id] = future
        try:
            await self._enqueue(payload, job_id, defer_ms=0, expires_ms=max(1, int(timeout_s * 1000)))
            result = await self._result(job_id, future, timeout_s)
        except asyncio.CancelledError:
            _ = self._tasks.start(self._withdraw(job_id), name="withdraw_job")
            raise
        finally:
            del self._waiting[job_id]
        return _outcome(result)

    async def _enqueue(self, payload: Payload, job_id: str, *, defer_ms: int, expires_ms: int) -> bool:
        keys = self._keys
        with tracing.child(f"enqueue {job_name(payload)}", "producer") as span:
            if span is not None:
                payload = msgspec.structs.replace(payload, traceparent=span.traceparent)
            enqueued = await self._link.run(
                _ENQUEUE,
                [keys.job(job_id), keys.job_result(job_id), keys.queue()],
                [job_id, envelope(payload, now_ms()), defer_ms, expires_ms, keys.worker_channel()],
            )
        if enqueued and self._on_enqueued is not None:
            self._on_enqueued(job_name(payload))
        return bool(enqueued)

    async def _result(self, job_id: str, future: asyncio.Future[_Result], timeout_s: float) -> _Result:
        deadline_s = monotonic_s() + timeout_s
        while not future.done() and (left_s := deadline_s - monotonic_s()) > 0:
            await asyncio.wait([future], timeout=min(left_s, _POLL_EVERY_S))
            if not future.done():
                await self._fetch_result(job_id)
        if not future.done():
            await self._withdraw(job_id)
        if future.done():
            return future.result()
        raise WorkerDown("no storage worker finished in time; try again shortly")

    async def _fetch_result(self, job_id: str) -> None:
        """Fetch a result whose message was lost; does nothing while Redis is away."""
        try:
            stored = await self._link.call("GET", self._keys.job_result(job_id))
        except StoreDown:
            return
        if stored is not None:
            self._on_result(stored)

    def _fetch_all(self) -> None:
        for job_id in self._waiting:
            _ = self._tasks.start(self._fetch_result(job_id), name="look_for_result")

    async def _withdraw(self, job_id: str) -> None:
        keys = self._keys
        try:
            status, *rest = await self._link.run(
                _WITHDRAW,
                [
                    keys.queue(), keys.job(job_id), keys.job_result(job_id), keys.job_claim(job_id),
                    keys.job_tries(job_id),
                ],
                [job_id],
            )
        except StoreDown:
            return  # the job expires by itself
        if status == 2:
            self._on_result(rest[0])

    def _on_result(self, message: bytes) -> None:
        try:
            result = _result_decoder.decode(message)
        except msgspec.MsgspecError:
            log.exception("job_result_unreadable")
            return
        future = self._waiting.get(result.id)
        if future is not None and not future.done():
            future.set_result(result)


def _outcome(result: _Result) -> Outcome:
    if not result.s:  # arq failed the job before our code ran, or after too many tries
        message: Any = msgspec.msgpack.decode(result.r)
        log.warning("job_given_up", answer=message)
        raise WorkerDown("no storage worker could finish this; try again shortly")
    outcome = _outcome_decoder.decode(result.r)
    if isinstance(outcome, JobRefused):
        raise error_of(outcome)
    return outcome
