"""One multiplexed, pipelining connection to Redis for everything that answers at once.

Every caller of the process shares it. It must never carry a blocking command, MULTI or SUBSCRIBE; those
have connections of their own. A lost connection fails all that is pending (nothing is repeated: a script
may have run) and is opened again in the background, to the master that Sentinel names by then.
"""

import asyncio
import contextlib
from functools import partial

import structlog

from longshore.shared.errors import StoreDown
from longshore.shared.redis.address import RedisAddress, UnsuitableRedis, login
from longshore.shared.redis.connect import CONNECT_S, resolve_address
from longshore.shared.redis.pipeline import Arg, Pipeline, RedisReplyError, Reply
from longshore.shared.redis.requirements import unsuitable_reply, unsuitable_server, untrusted_certificate
from longshore.shared.tasks import Tasks

__all__ = ["Arg", "RedisLink", "RedisReplyError", "Reply"]

log = structlog.get_logger(__name__)

_RECONNECT_WAIT_S = 2.0      # how long a caller waits for a connection that is being opened
_BACKOFF_S = (0.02, 0.1, 0.5, 1.0)
_NO_WRITES = ("LOADING", "READONLY", "OOM", "MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY")

# Shares of `ping_s`, at whose end a dead connection is given up: a PING after so much silence, so long to
# answer it, and looked at twice, this far apart, because the delay may have been our own.
_SILENCE, _PATIENCE, _TICK = 0.25, 0.6, 0.05


class RedisLink:
    """The process's shared connection. Built once at start-up; `close` ends it."""

    def __init__(self, address: RedisAddress, tasks: Tasks) -> None:
        self._address = address
        self._pipeline: Pipeline | None = None
        self._open = asyncio.Event()
        self._settled = asyncio.Event()
        self._unsuitable: UnsuitableRedis | None = None
        self._keeper = tasks.start(self._keep_open(), name="redis_link")

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent without waiting for a connection."""
        return self._pipeline is not None

    async def require_suitable(self, *, timeout_s: float = CONNECT_S) -> None:
        """Wait until the first connection is open. Raises UnsuitableRedis for a server that will not do.

        Returns all the same when there is no answer in time: Redis may come up after us.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        if self._unsuitable is not None:
            raise self._unsuitable

    async def call(self, *args: Arg) -> Reply:
        """Send one command. Raises StoreDown when there is no answer, RedisReplyError when refused."""
        wire = self._pipeline or await self._wait_open()
        try:
            return await wire.send(args)
        except RedisReplyError as err:
            if not str(err).startswith(_NO_WRITES):
                raise
            log.warning("redis_unavailable", answer=str(err).split(" ", 1)[0])
            if str(err).startswith("READONLY"):
                wire.close()  # a master that was demoted: the name or Sentinel leads to the new one
            raise StoreDown("Redis takes no writes now; try again shortly") from err

    def send_nowait(self, *args: Arg) -> None:
        """Send one command whose answer nobody needs. Lost without a word when there is no connection."""
        if self._pipeline is not None:
            with contextlib.suppress(StoreDown):
                self._pipeline.send(args).add_done_callback(_forget)

    async def _wait_open(self) -> Pipeline:
        try:
            async with asyncio.timeout(_RECONNECT_WAIT_S):
                while self._pipeline is None:
                    await self._open.wait()
        except TimeoutError:
            raise StoreDown("Redis does not answer; try again shortly") from None
        return self._pipeline

    async def _keep_open(self) -> None:
        failures = 0
        while True:
            lost = asyncio.Event()
            wire = Pipeline(partial(self._lost, lost))
            try:
                await self._connect(wire, attempt=failures)
            except (OSError, TimeoutError, StoreDown, RedisReplyError, UnsuitableRedis) as err:
                wire.close()
                self._failed(err)
                await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
                continue
            failures = 0
            self._pipeline = wire
            self._unsuitable = None
            self._open.set()
            self._settled.set()
            try:
                await self._watch(wire, lost)
            finally:
                self._pipeline = None
                self._open.clear()
                wire.close()

    def _lost(self, lost: asyncio.Event, wire: Pipeline) -> None:
        """Callers that fail now may ask again at once: they wait for the next connection."""
        if self._pipeline is wire:
            self._pipeline = None
            self._open.clear()
        lost.set()

    def _failed(self, err: Exception) -> None:
        if isinstance(err, UnsuitableRedis):
            self._unsuitable = err
        elif isinstance(err, RedisReplyError):
            self._unsuitable = unsuitable_reply(str(err))
        else:
            self._unsuitable = untrusted_certificate(err) if isinstance(err, OSError) else None
        if self._unsuitable is not None:
            self._settled.set()
        log.warning("redis_connect_failed", error=type(err).__name__, unsuitable=_words(self._unsuitable))

    async def _connect(self, wire: Pipeline, *, attempt: int) -> None:
        at = await resolve_address(self._address, attempt=attempt)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_S):
            if at.unix_path:
                await loop.create_unix_connection(lambda: wire, at.unix_path)
            else:
                await loop.create_connection(lambda: wire, at.host, at.port, ssl=at.ssl_context())
            if (auth := login(at.username, at.password)) is not None:
                await wire.send(auth)
            await _require_suitable(wire)
            if at.db:
                await wire.send(("SELECT", at.db))
            await wire.send(("PING",))
            if self._address.sentinels is not None:
                await _require_master(wire)

    async def _watch(self, wire: Pipeline, lost: asyncio.Event) -> None:
        """Until the connection is lost, or nothing comes back on it for as long as `ping_s` allows."""
        limit_s, suspected = self._address.ping_s, False
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK * limit_s):
                    await lost.wait()
            if wire.unanswered_s > _PATIENCE * limit_s:
                if suspected:
                    log.warning("redis_stuck")
                    return
                suspected = True
                continue
            suspected = False
            if wire.idle_s > _SILENCE * limit_s and not lost.is_set():
                wire.send(("PING",)).add_done_callback(_forget)

    async def close(self) -> None:
        """End the connection; what is pending fails with StoreDown."""
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper


async def _require_suitable(wire: Pipeline) -> None:
    """Raises UnsuitableRedis. A user that may not ask is taken at its operator's word."""
    server, cluster = wire.send(("INFO", "server")), wire.send(("INFO", "cluster"))
    try:
        info = [await server, await cluster]
    except RedisReplyError as err:
        _ = cluster.cancel()  # its answer is the same, and nobody waits for it
        if not str(err).startswith("NOPERM"):
            raise
        return
    if (reason := unsuitable_server("\n".join(part.decode(errors="replace") for part in info))) is not None:
        raise reason


async def _require_master(wire: Pipeline) -> None:
    """Raises StoreDown when a sentinel has named a server that is no master any more, or not yet."""
    try:
        role = await wire.send(("ROLE",))
    except RedisReplyError as err:
        if str(err).startswith("NOPERM"):
            return  # then the first write tells
        raise
    if role[0] != b"master":
        raise StoreDown("Redis is being replaced; try again shortly")


def _forget(answer: asyncio.Future[Reply]) -> None:
    if not answer.cancelled() and (failure := answer.exception()) is not None:
        log.info("redis_command_lost", error=type(failure).__name__)


def _words(reason: UnsuitableRedis | None) -> str | None:
    return None if reason is None else str(reason)
