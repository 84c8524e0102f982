"""One multiplexed, pipelining connection to Redis for everything that answers at once.

Every caller of the process shares it: commands of one loop turn leave in one write, replies resolve
futures in order. It must never carry a blocking command, MULTI or SUBSCRIBE; those have connections
of their own. A lost connection fails all that is pending (nothing is repeated: a script may have run)
and is opened again in the background.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Any, cast

import hiredis
import structlog

from shared.clock import monotonic_s
from shared.errors import StoreDown
from shared.state.address import RedisAddress
from shared.tasks import Tasks

log = structlog.get_logger(__name__)

_MAX_PENDING = 20_000        # replies awaited at once; above it callers are told to come back
_STUCK_S = 5.0               # a reply this late means that the server or the path is gone
_RECONNECT_WAIT_S = 2.0      # how long a caller waits for a connection that is being opened
_BACKOFF_S = (0.02, 0.1, 0.5, 1.0)

Reply = Any                  # bytes, int, None or a list of these: typed by the wrapper of each command
Arg = str | bytes | int | float | memoryview


class RedisReplyError(Exception):
    """Redis refused a command; callers that expect one catch it, others have a bug."""


@dataclass(frozen=True, slots=True)
class _Pending:
    future: asyncio.Future[Reply]
    sent_s: float


class _Wire(asyncio.Protocol):
    """Frames replies; knows nothing of what was asked."""

    def __init__(self, lost: asyncio.Event) -> None:
        self._lost = lost
        self._reader = hiredis.Reader()
        self._out: list[bytes] = []
        self._pending: deque[_Pending] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def send(self, args: tuple[Arg, ...]) -> asyncio.Future[Reply]:
        if len(self._pending) >= _MAX_PENDING:
            raise StoreDown("too many operations wait for Redis; try again shortly")
        future: asyncio.Future[Reply] = self._loop.create_future()
        if not self._out:
            self._loop.call_soon(self._flush)
        # hiredis annotates a tuple of one element; it takes any number.
        self._out.append(hiredis.pack_command(args))  # type: ignore[arg-type]
        self._pending.append(_Pending(future, monotonic_s()))
        return future

    def _flush(self) -> None:
        data = b"".join(self._out)
        self._out.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            future = self._pending.popleft().future
            if future.done():  # its caller was cancelled; the reply keeps its place all the same
                continue
            if isinstance(reply, hiredis.ReplyError):
                future.set_exception(RedisReplyError(str(reply)))
            else:
                future.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        for pending in self._pending:
            if not pending.future.done():
                pending.future.set_exception(StoreDown("the connection to Redis was lost; try again shortly"))
        self._pending.clear()
        self._lost.set()

    def is_stuck(self) -> bool:
        return bool(self._pending) and monotonic_s() - self._pending[0].sent_s > _STUCK_S

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class RedisLink:
    """The process's shared connection. Built once at start-up; `close` ends it."""

    def __init__(self, address: RedisAddress, tasks: Tasks) -> None:
        self._address = address
        self._wire: _Wire | None = None
        self._open = asyncio.Event()
        self._keeper = tasks.start(self._keep_open(), name="redis_link")

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent without waiting for a connection."""
        return self._wire is not None

    async def call(self, *args: Arg) -> Reply:
        """Send one command. Raises StoreDown when there is no answer, RedisReplyError when refused."""
        wire = self._wire or await self._wait_open()
        try:
            return await wire.send(args)
        except RedisReplyError as err:
            if str(err).startswith(("LOADING", "READONLY", "OOM", "MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY")):
                log.warning("redis_unavailable", answer=str(err).split(" ", 1)[0])
                raise StoreDown("Redis takes no writes now; try again shortly") from err
            raise

    def fire(self, *args: Arg) -> None:
        """Send one command whose answer nobody needs. Lost without a word when there is no connection."""
        if self._wire is not None:
            with contextlib.suppress(StoreDown):
                self._wire.send(args).add_done_callback(_forget)

    async def _wait_open(self) -> _Wire:
        try:
            async with asyncio.timeout(_RECONNECT_WAIT_S):
                while self._wire is None:
                    await self._open.wait()
        except TimeoutError:
            raise StoreDown("Redis does not answer; try again shortly") from None
        return self._wire

    async def _keep_open(self) -> None:
        failures = 0
        while True:
            lost = asyncio.Event()
            wire = _Wire(lost)
            try:
                await self._connect(wire)
            except (OSError, TimeoutError, StoreDown, RedisReplyError) as err:
                wire.close()
                log.warning("redis_connect_failed", error=type(err).__name__, refused=_refusal(err))
                await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
                continue
            failures = 0
            self._wire = wire
            self._open.set()
            try:
                await self._watch(wire, lost)
            finally:
                self._wire = None
                self._open.clear()
                wire.close()

    async def _connect(self, wire: _Wire) -> None:
        loop = asyncio.get_running_loop()
        address = self._address
        async with asyncio.timeout(_STUCK_S):
            if address.unix_path:
                await loop.create_unix_connection(lambda: wire, address.unix_path)
            else:
                await loop.create_connection(lambda: wire, address.host, address.port, ssl=address.ssl_context())
            if address.password:
                await wire.send(("AUTH", address.username or "default", address.password))
            if address.db:
                await wire.send(("SELECT", address.db))
            await wire.send(("PING",))

    @staticmethod
    async def _watch(wire: _Wire, lost: asyncio.Event) -> None:
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await lost.wait()
            if wire.is_stuck():
                log.warning("redis_stuck")
                return

    async def close(self) -> None:
        """End the connection; what is pending fails with StoreDown."""
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper


def _forget(answer: asyncio.Future[Reply]) -> None:
    if not answer.cancelled() and (failure := answer.exception()) is not None:
        log.info("redis_command_lost", error=type(failure).__name__)


def _refusal(err: Exception) -> str | None:
    return str(err).split(" ", 1)[0] if isinstance(err, RedisReplyError) else None
