"""One open connection to Redis that carries many callers' commands: frames replies, knows nothing of what was asked."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import hiredis

from longshore.shared.clock import monotonic_s
from longshore.shared.errors import StoreDown

_MAX_PENDING = 20_000        # replies awaited at once; above it callers are told to come back

Reply = Any                  # bytes, int, None or a list of these: typed by the wrapper of each command
Arg = str | bytes | int | float | memoryview


class RedisReplyError(Exception):
    """Redis refused a command; callers that expect one catch it, others have a bug."""


@dataclass(frozen=True, slots=True)
class _Pending:
    future: asyncio.Future[Reply]
    sent_s: float


class Pipeline(asyncio.Protocol):
    """Commands of one loop turn leave in one write, replies resolve futures in order. `on_lost` is called once the
    connection is gone, before anybody hears of it: nothing may be sent from then on."""

    def __init__(self, on_lost: Callable[["Pipeline"], None]) -> None:
        self._on_lost = on_lost
        self._is_lost = False
        self._reader = hiredis.Reader()
        self._out: list[bytes] = []
        self._pending: deque[_Pending] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._heard_s = monotonic_s()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class

    def send(self, args: tuple[Arg, ...]) -> asyncio.Future[Reply]:
        """The reply to one command, some time. Raises StoreDown when too many wait or the connection is lost."""
        if self._is_lost:  # nobody would ever answer
            raise StoreDown("the connection to Redis was lost; try again shortly")
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
        self._heard_s = monotonic_s()
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
        self._is_lost = True
        self._on_lost(self)
        for pending in self._pending:
            if not pending.future.done():
                pending.future.set_exception(StoreDown("the connection to Redis was lost; try again shortly"))
        self._pending.clear()

    @property
    def unanswered_s(self) -> float:
        """How long something has been awaited while nothing at all came back; 0 when nothing is awaited."""
        if not self._pending:
            return 0.0
        return monotonic_s() - max(self._pending[0].sent_s, self._heard_s)

    @property
    def idle_s(self) -> float:
        """How long nothing is awaited already; 0 while something is."""
        return 0.0 if self._pending else monotonic_s() - self._heard_s

    def close(self) -> None:
        """Drop the connection; what is pending fails with StoreDown."""
        if self._transport is not None:
            self._transport.abort()
