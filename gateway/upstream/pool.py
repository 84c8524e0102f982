"""Connection pool of one upstream: idle keep-alive connections, and slots that limit concurrent requests."""

import asyncio
import re
from collections import deque

from longshore.gateway.upstream.connection import Connection
from longshore.gateway.upstream.dial import Origin, dial
from longshore.shared.errors import TooMany, UpstreamDown

_MAX_CALLS = 256
_MAX_STREAMS = 8192          # long-lived streams, mostly silent: one for each subscribed client
_MAX_IDLE = 64
_SLOT_TIMEOUT_S = 10.0
# Node and uvicorn, which most MCP servers run on, close after 5 idle seconds unless `Keep-Alive` announces more.
_IDLE_S = 4.0
_MAX_IDLE_S = 30.0
_REAP_S = 1.0
_KEEP_ALIVE_TIMEOUT = re.compile(rb"timeout=(\d{1,5})")


class Pool:
    """Connections to one origin. Every acquired slot must be released."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._calls = asyncio.Semaphore(_MAX_CALLS)
        self._streams = asyncio.Semaphore(_MAX_STREAMS)
        self._idle: deque[tuple[Connection, float]] = deque()    # with their expiry by the loop's clock
        self._open: set[Connection] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def acquire_slot(self, *, stream: bool, until_s: float | None) -> None:
        """Take a call slot, or a stream slot, by `until_s` of the loop's clock at the latest.

        Raises TooMany if none becomes free in time; then nothing was sent.
        """
        slots = self._streams if stream else self._calls
        if not slots.locked():
            await slots.acquire()
            return
        latest_s = asyncio.get_running_loop().time() + _SLOT_TIMEOUT_S
        try:
            async with asyncio.timeout_at(latest_s if until_s is None else min(latest_s, until_s)):
                await slots.acquire()
        except TimeoutError:
            raise TooMany("every connection to the upstream server is in use; try again shortly") from None

    def release_slot(self, *, stream: bool) -> None:
        """Give the slot back."""
        (self._streams if stream else self._calls).release()

    def take_idle(self) -> Connection | None:
        """Take the connection that was idle for the shortest time; None if there is no usable one."""
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.abort()
        return None

    async def connect(self) -> Connection:
        """Open a new connection. Raises UpstreamDown or UpstreamTimeout."""
        if self._is_closed:
            raise UpstreamDown("the gateway is shutting down")
        connection = await dial(self._origin, self._forget)
        self._open.add(connection)
        if connection.lost.done():
            self._open.discard(connection)
        if self._is_closed:
            connection.abort()
            raise UpstreamDown("the gateway is shutting down")
        return connection

    def put_back(self, connection: Connection) -> None:
        """End the connection's request, and keep the connection if it can carry another."""
        if self._is_closed or len(self._idle) >= _MAX_IDLE:
            connection.abort()
        elif connection.release():
            self._idle.append((connection, connection.idle_since_s + _idle_s(connection)))
            if self._reaper is None:
                self._reaper = asyncio.get_running_loop().call_later(_REAP_S, self._reap)

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        now_s, idle = loop.time(), self._idle
        self._idle = deque(entry for entry in idle if entry[1] > now_s)
        for connection, until_s in idle:
            if until_s <= now_s:
                connection.abort()
        self._reaper = loop.call_later(_REAP_S, self._reap) if self._idle else None

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        if any(idle is connection for idle, _ in self._idle):
            self._idle = deque(entry for entry in self._idle if entry[0] is not connection)

    async def close(self) -> None:
        """Close every connection, including those in use."""
        self._is_closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        self._idle.clear()
        lost = [connection.lost for connection in self._open]
        for connection in list(self._open):
            connection.abort()
        if lost:
            await asyncio.wait(lost, timeout=1.0)


def _idle_s(connection: Connection) -> float:
    """Idle lifetime of a connection in seconds: one less than the server's `Keep-Alive` announces."""
    announced = _KEEP_ALIVE_TIMEOUT.search(connection.response.headers.get(b"keep-alive", b""))
    return min(int(announced[1]) - 1.0, _MAX_IDLE_S) if announced else _IDLE_S
