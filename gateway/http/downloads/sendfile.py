"""A span of a file to a plain socket, by the kernel: no byte of it passes through this process.

uvloop has no sendfile of its own. The head must be out before the first byte goes beside the transport, and
nothing may be written to the transport until the last has gone.
"""

import asyncio
import contextlib
import os
import select
import socket
import sys
from dataclasses import dataclass

import structlog
from aiohttp import web

from longshore.gateway.appkeys import BLOBS
from longshore.gateway.http.downloads.ranges import Span
from longshore.gateway.request_context import CutOff

log = structlog.get_logger(__name__)

_MOST_BYTES = 8 * 1024 * 1024    # at once: a thread is given back after them, or when the socket is full
_MOST_ALONE_BYTES = 128 * 1024 * 1024    # while hardly anybody else wants a thread
_CALL_BYTES = 2 * 1024 * 1024    # in one call of the kernel's: larger ones were slower
_PATIENCE_S = 60.0               # for a client that takes nothing, as with everything else that is sent
_FAST_BYTES = 1024 * 1024        # taken in one go by a client that will take more at once
_MOMENT_MS = 2
_CAN = sys.platform == "linux"


@dataclass(slots=True)
class _Way:
    """Two descriptors, and how far the span has gone."""

    file: int
    socket: int
    at: int
    end: int
    most: int = _MOST_BYTES      # bytes of one push
    is_full: bool = False        # the socket
    is_gone: bool = False        # the client
    is_short: bool = False       # the file: it ends before its record does

    def push(self) -> None:
        """Send until the socket is full or enough was sent. Waits a moment for a client that takes much at a time,
        and for no other: a thread is for all of them."""
        self.is_full, begun = False, self.at
        stop = min(self.end, self.at + self.most)
        while self.at < stop:
            try:
                sent = os.sendfile(self.socket, self.file, self.at, min(_CALL_BYTES, stop - self.at))
            except BlockingIOError:
                if self.at - begun >= _FAST_BYTES and self._has_room_soon():
                    continue
                self.is_full = True
                return
            except ConnectionError:
                self.is_gone = True
                return
            if not sent:
                self.is_short = True
                return
            self.at += sent

    def _has_room_soon(self) -> bool:
        """Whether the socket has room again within a moment: sooner than by asking the loop."""
        waiting = select.poll()
        waiting.register(self.socket, select.POLLOUT)
        return bool(waiting.poll(_MOMENT_MS))


async def ready(request: web.Request) -> socket.socket | None:
    """The connection's socket, when bytes written to it reach the client as they are and everything written to the
    transport before is in the kernel. None: write to the transport."""
    transport = request.transport
    if not _CAN or transport is None or transport.get_extra_info("ssl_object") is not None:
        return None
    transport.set_write_buffer_limits(high=0)    # so that draining is until nothing waits
    try:
        await request.writer.drain()
        found: socket.socket | None = transport.get_extra_info("socket")
        return None if transport.get_write_buffer_size() else found
    finally:
        transport.set_write_buffer_limits()


async def send(
    request: web.Request, fd: int, span: Span, to: socket.socket, *, patience_s: float = _PATIENCE_S
) -> None:
    """Send the span of `fd` to a socket that is `ready`. Raises ConnectionError, CutOff, the latter too for a client
    that takes nothing for `patience_s`.

    When this is cancelled, it ends after the thread that works with the descriptors.
    """
    with contextlib.closing(socket.socket(fileno=os.dup(to.fileno()))) as own:
        way = _Way(fd, own.fileno(), span.start, span.end)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)    # full packets, whatever a push ends with
        while way.at < way.end:
            way.most = _MOST_ALONE_BYTES if request.app[BLOBS].is_quiet else _MOST_BYTES
            await request.app[BLOBS].run_out(way.push)
            if way.is_gone:
                raise ConnectionResetError
            if way.is_short:
                raise CutOff
            if way.is_full:
                await _writable(request, way.socket, patience_s)
        with contextlib.suppress(OSError):       # the client may be gone meanwhile, with all that it wanted
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


async def _writable(request: web.Request, fd: int, patience_s: float) -> None:
    """Wait for room in the socket. A client that makes none for too long is let go."""
    loop, room = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(fd, room.set)
    try:
        async with asyncio.timeout(patience_s):
            await room.wait()
    except TimeoutError:
        log.info("slow_reader_let_go", waiting_bytes=0)
        if request.transport is not None:
            request.transport.abort()
        raise CutOff from None
    finally:
        loop.remove_writer(fd)
