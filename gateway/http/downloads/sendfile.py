"""Sends bytes of a file to a plain socket by sendfile(2), so that none of them passes through this process.

uvloop has no sendfile of its own. The response's head must be in the kernel before the first byte is written beside
the transport, and nothing may be written to the transport until the last one is.
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
from longshore.gateway.http.downloads.ranges import ByteRange
from longshore.gateway.request_context import ResponseCutOff

log = structlog.get_logger(__name__)

_MAX_PUSH_BYTES = 8 * 1024 * 1024    # then the thread is released, or when the socket is full
_MAX_QUIET_PUSH_BYTES = 128 * 1024 * 1024    # the same while few others want a thread
_CALL_BYTES = 2 * 1024 * 1024    # of one sendfile(2): larger calls were slower
_SEND_TIMEOUT_S = 60.0           # for a client that reads nothing, as in `slow_readers`
_FAST_BYTES = 1024 * 1024        # read at once by a client that will soon read more
_POLL_MS = 2
_HAS_SENDFILE = sys.platform == "linux"


@dataclass(slots=True)
class _Transfer:
    """State of one transfer from a file to a socket."""

    file: int
    socket: int
    at: int
    end: int
    max_bytes: int = _MAX_PUSH_BYTES
    is_full: bool = False        # the socket
    is_disconnected: bool = False    # the client
    is_truncated: bool = False   # the file: it is shorter than its record

    def push_chunk(self) -> None:
        """Send until the socket is full or `max_bytes` were sent. Runs in a thread, and waits there only for a client
        that reads fast: all transfers share the threads."""
        self.is_full, start = False, self.at
        stop = min(self.end, self.at + self.max_bytes)
        while self.at < stop:
            try:
                sent = os.sendfile(self.socket, self.file, self.at, min(_CALL_BYTES, stop - self.at))
            except BlockingIOError:
                if self.at - start >= _FAST_BYTES and self._is_writable_soon():
                    continue
                self.is_full = True
                return
            except ConnectionError:
                self.is_disconnected = True
                return
            if not sent:
                self.is_truncated = True
                return
            self.at += sent

    def _is_writable_soon(self) -> bool:
        """Wait up to 2 ms until the socket is writable: less than a turn through the event loop takes."""
        poll = select.poll()
        poll.register(self.socket, select.POLLOUT)
        return bool(poll.poll(_POLL_MS))


async def sendfile_socket(request: web.Request) -> socket.socket | None:
    """Return the connection's plain socket once everything written to the transport is in the kernel.

    None where sendfile cannot be used, with TLS for instance: write to the transport.
    """
    transport = request.transport
    if not _HAS_SENDFILE or transport is None or transport.get_extra_info("ssl_object") is not None:
        return None
    transport.set_write_buffer_limits(high=0)    # then drain() waits until the buffer is empty
    try:
        await request.writer.drain()
        found: socket.socket | None = transport.get_extra_info("socket")
        return None if transport.get_write_buffer_size() else found
    finally:
        transport.set_write_buffer_limits()


async def send(
    request: web.Request, fd: int, span: ByteRange, to: socket.socket, *, timeout_s: float = _SEND_TIMEOUT_S
) -> None:
    """Send the bytes of `fd` to a socket from `sendfile_socket`.

    Raises ConnectionError; ResponseCutOff for a truncated file, and for a client that reads nothing for `timeout_s`.
    Cancelled, it ends after the thread that uses the descriptors.
    """
    with contextlib.closing(socket.socket(fileno=os.dup(to.fileno()))) as own:
        transfer = _Transfer(fd, own.fileno(), span.start, span.end)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)    # full packets, also at the end of a push
        while transfer.at < transfer.end:
            transfer.max_bytes = _MAX_QUIET_PUSH_BYTES if request.app[BLOBS].has_idle_threads else _MAX_PUSH_BYTES
            await request.app[BLOBS].run_to_end(transfer.push_chunk)
            if transfer.is_disconnected:
                raise ConnectionResetError
            if transfer.is_truncated:
                raise ResponseCutOff
            if transfer.is_full:
                await _wait_writable(request, transfer.socket, timeout_s)
        with contextlib.suppress(OSError):       # the client may have disconnected after its last byte
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


async def _wait_writable(request: web.Request, fd: int, timeout_s: float) -> None:
    """Wait until the socket is writable. The connection of a client that reads nothing for `timeout_s` is reset."""
    loop, writable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(fd, writable.set)
    try:
        async with asyncio.timeout(timeout_s):
            await writable.wait()
    except TimeoutError:
        log.info("slow_reader_let_go", waiting_bytes=0)
        if request.transport is not None:
            request.transport.abort()
        raise ResponseCutOff from None
    finally:
        loop.remove_writer(fd)
