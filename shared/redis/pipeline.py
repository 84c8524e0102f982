"""Pipeline: one open connection to Redis that carries the commands of many callers."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import hiredis

from longshore.shared.clock import monotonic_s
from longshore.shared.errors import StoreDown

_MAX_PENDING = 20_000        # awaited replies; above it commands fail

Reply = Any                  # bytes, int, None or a list of these: typed by the wrapper of each command
Arg = str | bytes | int | float | memoryview


class RedisReplyError(Exception):
    """Error reply to a command; callers that expect one catch it, others have a bug."""


@dataclass(frozen=True, slots=True)
class _Pending:
    future: asyncio.Future[Reply]
    sent_s: float


class Pipeline(asyncio.Protocol):
    """Protocol that sends the commands of one event loop turn in one write and resolves their futures in order.

    `on_lost` is called when the connection is lost, before the futures fail: nothing may be sent from then on.
    """

    def __init__(self, on_lost: Callable[["Pipeline"], None]) -> None:
        self._on_lost = on_lost
        self._is_lost = False
        self._reader = hiredis.Reader()
        self._out: list[bytes] = []
        self._pending: deque[_Pending] = deque()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._received_s = monotonic_s()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport has another base class

    def send(self, args: tuple[Arg, ...]) -> asyncio.Future[Reply]:
        """Send one command; the future gets its reply. Raises StoreDown if too many are pending or it is lost."""
        if self._is_lost:  # the future would never be resolved
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
        self._received_s = monotonic_s()
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            future = self._pending.popleft().future
            if future.done():  # its caller was cancelled; the order of replies stays
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
        """Return the time without any data while a reply is awaited; 0 when none is."""
        if not self._pending:
            return 0.0
        return monotonic_s() - max(self._pending[0].sent_s, self._received_s)

    @property
    def idle_s(self) -> float:
        """Return the time without data while no reply is awaited; 0 while one is."""
        return 0.0 if self._pending else monotonic_s() - self._received_s

    def close(self) -> None:
        """Abort the connection; pending commands fail with StoreDown."""
        if self._transport is not None:
            self._transport.abort()
