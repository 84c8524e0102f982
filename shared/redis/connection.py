"""Shared connection to Redis, multiplexed and pipelined, for commands with an immediate reply.

All callers of the process share it. It must never carry a blocking command, MULTI or SUBSCRIBE; those have
connections of their own. A lost connection fails all pending commands (none is repeated: a script may have
run) and is reopened in the background, to the master that Sentinel names by then.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial

import structlog

from longshore.shared import tracing
from longshore.shared.errors import StoreDown
from longshore.shared.redis.address import RedisAddress, UnsuitableRedis, login
from longshore.shared.redis.connect import BACKOFF, CONNECT_S, resolve_address
from longshore.shared.redis.pipeline import Arg, Pipeline, RedisReplyError, Reply
from longshore.shared.redis.requirements import unsuitable_reply, unsuitable_server, untrusted_certificate
from longshore.shared.redis.scripts import Script
from longshore.shared.tasks import Tasks

__all__ = ["Arg", "RedisLink", "RedisReplyError", "Reply"]

log = structlog.get_logger(__name__)

_RECONNECT_WAIT_S = 2.0      # of a caller while the connection is being opened
_NO_WRITES = ("LOADING", "READONLY", "OOM", "MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY")

# Shares of `ping_s`, within which a dead connection is closed: idle time before a PING, time for a reply, and interval
# of the checks. A late reply is checked twice, because the event loop may have caused the delay.
_IDLE, _REPLY, _CHECK = 0.25, 0.6, 0.05


class RedisLink:
    """Shared connection of the process. Built once at start-up; `close` ends it."""

    def __init__(self, address: RedisAddress, tasks: Tasks) -> None:
        self._address = address
        self._pipeline: Pipeline | None = None
        self._open = asyncio.Event()
        self._tried = asyncio.Event()
        self._unsuitable: UnsuitableRedis | None = None
        self._keeper = tasks.start(self._keep_open(), name="redis_link")

    @property
    def is_open(self) -> bool:
        """Return True if commands can be sent without waiting for a connection."""
        return self._pipeline is not None

    async def require_suitable(self, *, timeout_s: float = CONNECT_S) -> None:
        """Wait until the first connection is open. Raises UnsuitableRedis for a server that longshore cannot use.

        Also returns at the timeout: Redis may start after longshore.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._tried.wait()
        if self._unsuitable is not None:
            raise self._unsuitable

    async def call(self, *args: Arg) -> Reply:
        """Send one command and return its reply. Raises StoreDown without a reply, RedisReplyError for an error."""
        pipeline = self._pipeline or await self._await_open()
        try:
            return await pipeline.send(args)
        except RedisReplyError as err:
            if not str(err).startswith(_NO_WRITES):
                raise
            log.warning("redis_unavailable", answer=str(err).split(" ", 1)[0])
            if str(err).startswith("READONLY"):
                pipeline.close()  # a demoted master: its name or Sentinel leads to the new one
            raise StoreDown("Redis takes no writes now; try again shortly") from err

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Reply:
        """Run a script: one round trip, two if the server does not know it. After NOSCRIPT repeating is safe.

        Raises StoreDown. RedisReplyError means a bug in the script.
        """
        with tracing.child(f"redis {script.name}", "client"):
            try:
                return await self.call("EVALSHA", script.sha, len(keys), *keys, *args)
            except RedisReplyError as err:
                if not str(err).startswith("NOSCRIPT"):
                    raise RedisReplyError(f"{script.name}: {err}") from err
            return await self.call("EVAL", script.source, len(keys), *keys, *args)

    def send_nowait(self, *args: Arg) -> None:
        """Send one command without waiting for its reply. Lost silently when there is no connection."""
        if self._pipeline is not None:
            with contextlib.suppress(StoreDown):
                self._pipeline.send(args).add_done_callback(_log_lost)

    async def _await_open(self) -> Pipeline:
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
            pipeline = Pipeline(partial(self._on_lost, lost))
            try:
                await self._connect(pipeline, attempt=failures)
            except (OSError, TimeoutError, StoreDown, RedisReplyError, UnsuitableRedis) as err:
                pipeline.close()
                self._on_connect_failed(err)
                failures += 1
                await asyncio.sleep(BACKOFF.delay_s(failures))
                continue
            failures = 0
            self._pipeline = pipeline
            self._unsuitable = None
            self._open.set()
            self._tried.set()
            try:
                await self._monitor(pipeline, lost)
            finally:
                self._pipeline = None
                self._open.clear()
                pipeline.close()

    def _on_lost(self, lost: asyncio.Event, pipeline: Pipeline) -> None:
        """Forget a lost connection at once: callers whose commands fail now and retry wait for the next one."""
        if self._pipeline is pipeline:
            self._pipeline = None
            self._open.clear()
        lost.set()

    def _on_connect_failed(self, err: Exception) -> None:
        if isinstance(err, UnsuitableRedis):
            self._unsuitable = err
        elif isinstance(err, RedisReplyError):
            self._unsuitable = unsuitable_reply(str(err))
        else:
            self._unsuitable = untrusted_certificate(err) if isinstance(err, OSError) else None
        if self._unsuitable is not None:
            self._tried.set()
        reason = None if self._unsuitable is None else str(self._unsuitable)
        log.warning("redis_connect_failed", error=type(err).__name__, unsuitable=reason)

    async def _connect(self, pipeline: Pipeline, *, attempt: int) -> None:
        address = await resolve_address(self._address, attempt=attempt)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_S):
            if address.unix_path:
                await loop.create_unix_connection(lambda: pipeline, address.unix_path)
            else:
                await loop.create_connection(lambda: pipeline, address.host, address.port, ssl=address.ssl_context())
            if (auth := login(address.username, address.password)) is not None:
                await pipeline.send(auth)
            await _check_server(pipeline)
            if address.db:
                await pipeline.send(("SELECT", address.db))
            await pipeline.send(("PING",))
            if self._address.sentinels is not None:
                await _check_master(pipeline)

    async def _monitor(self, pipeline: Pipeline, lost: asyncio.Event) -> None:
        """Monitor the connection until it is lost or a reply takes longer than `ping_s` allows."""
        limit_s, suspected = self._address.ping_s, False
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CHECK * limit_s):
                    await lost.wait()
            if pipeline.unanswered_s > _REPLY * limit_s:
                if suspected:
                    log.warning("redis_stuck")
                    return
                suspected = True
                continue
            suspected = False
            if pipeline.idle_s > _IDLE * limit_s and not lost.is_set():
                pipeline.send(("PING",)).add_done_callback(_log_lost)

    async def close(self) -> None:
        """Close the connection; pending commands fail with StoreDown."""
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper


async def _check_server(pipeline: Pipeline) -> None:
    """Raise UnsuitableRedis for a server that longshore cannot use. Passes if the user may not run INFO."""
    server, cluster = pipeline.send(("INFO", "server")), pipeline.send(("INFO", "cluster"))
    try:
        info = [await server, await cluster]
    except RedisReplyError as err:
        _ = cluster.cancel()  # its reply is the same error
        if not str(err).startswith("NOPERM"):
            raise
        return
    if (reason := unsuitable_server("\n".join(part.decode(errors="replace") for part in info))) is not None:
        raise reason


async def _check_master(pipeline: Pipeline) -> None:
    """Raise StoreDown if the server that a sentinel has named is not a master now."""
    try:
        role = await pipeline.send(("ROLE",))
    except RedisReplyError as err:
        if str(err).startswith("NOPERM"):
            return  # the first write tells instead
        raise
    if role[0] != b"master":
        raise StoreDown("Redis is being replaced; try again shortly")


def _log_lost(reply: asyncio.Future[Reply]) -> None:
    if not reply.cancelled() and (failure := reply.exception()) is not None:
        log.info("redis_command_lost", error=type(failure).__name__)
