"""Connection to an upstream: carries one HTTP request at a time."""

import asyncio
import select
from collections.abc import Callable
from typing import cast

from longshore.gateway.upstream.http1 import ResponseParser
from longshore.shared.errors import LongshoreError, UpstreamDown

_MAX_UNREAD_BYTES = 256 * 1024     # of a body; above it reading from the socket is paused


class Connection(asyncio.Protocol):
    """asyncio protocol that sends one request at a time and reads its response.

    The request body is already in memory and goes to the transport as a whole; the response is read from the socket
    no faster than the caller reads it.
    """

    def __init__(self, on_lost: Callable[["Connection"], None]) -> None:
        self._on_lost = on_lost                  # called once, when the connection is lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: LongshoreError | None = None
        self._is_busy = False
        self._is_paused = False
        self.response = ResponseParser()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.requests = 0                        # sent so far
        self.idle_since_s = 0.0                  # by the loop's clock

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if not self._is_busy:
            self.abort()
            return
        response = self.response
        try:
            response.feed(data)
        except UpstreamDown as err:
            self.fail(err)
            return
        if response.unread_bytes > _MAX_UNREAD_BYTES and not self._is_paused and self._transport is not None:
            self._transport.pause_reading()
            self._is_paused = True
        if response.has_head:
            self._wake()

    def eof_received(self) -> bool:
        self._end_response()
        return False    # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._is_busy and not self.response.is_complete:
            self._failure = self._failure or UpstreamDown("the connection to the upstream server was lost")
        self._end_response()
        self._transport = None
        self.response.close()
        if not self.lost.done():
            self.lost.set_result(None)
        self._on_lost(self)

    def _end_response(self) -> None:
        try:
            if self._failure is None:
                self.response.end()
        except UpstreamDown as err:
            self._failure = err
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # Called by the exchange.

    def send(self, head: bytes, body: bytes | None, *, expects_body: bool = True) -> None:
        """Send one request; its response arrives in `response`. Raises UpstreamDown if the connection is closed."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise UpstreamDown("the connection to the upstream server was lost")
        self.response.expect(body=expects_body)
        self._is_busy = True
        self.requests += 1
        transport.write(head + body if body else head)

    async def wait_head(self) -> None:
        """Wait until the response head has arrived. Raises UpstreamDown, or the error given to `fail`."""
        while not self.response.has_head:
            await self._wait_for_data()

    async def read(self) -> bytes:
        """Read the next piece of the body, b"" at its end. Raises UpstreamDown, or the error given to `fail`."""
        response = self.response
        while not response.pieces:
            if response.is_complete:
                return b""
            await self._wait_for_data()
        data = response.take()
        if self._is_paused and not response.pieces:
            self._resume()
        return data

    async def peek_body(self, timeout_s: float, limit_bytes: int) -> bytes:
        """Peek: the whole body if it arrives within `timeout_s` and fits `limit_bytes`, left unread; else b""."""
        response = self.response
        try:
            async with asyncio.timeout(timeout_s):
                while not response.is_complete and response.unread_bytes <= limit_bytes and self._failure is None:
                    await self._wait_for_data()
        except TimeoutError:
            return b""
        fits = response.is_complete and response.unread_bytes <= limit_bytes
        return b"".join(response.pieces) if fits else b""

    async def wait_readable(self, timeout_s: float) -> bool:
        """Wait until more of the body, or its end, can be read. False if nothing arrives within `timeout_s`."""
        response = self.response
        try:
            async with asyncio.timeout(timeout_s):
                while not response.is_complete and not response.unread_bytes and self._failure is None:
                    await self._wait_for_data()
        except TimeoutError:
            return False
        return True

    async def _wait_for_data(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _resume(self) -> None:
        self._is_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def fail(self, failure: LongshoreError) -> None:
        """Close the connection and raise `failure` to the reader, unless the whole response has arrived."""
        if not self.response.is_complete and self._failure is None:
            self._failure = failure
        self._wake()
        self.abort()

    def release(self) -> bool:
        """End the request. True if the connection is idle and may carry another; otherwise it is closed."""
        transport, response = self._transport, self.response
        if (
            transport is None or self._failure is not None or not (response.is_complete and response.keeps_alive)
            or transport.is_closing() or transport.get_write_buffer_size()
        ):
            self.abort()
            return False
        response.pieces.clear()
        if self._is_paused:
            self._resume()
        self._is_busy = False
        self.idle_since_s = self._loop.time()
        return True

    def is_usable(self) -> bool:
        """True if an idle connection can take a request: it is open, and the server has not closed its side.

        A close that has arrived but was not read yet by a busy loop is found with poll().
        """
        transport = self._transport
        return transport is not None and not transport.is_closing() and not self._poll.poll(0)

    def abort(self) -> None:
        """Close immediately. Safe to repeat."""
        if self._transport is not None:
            self._transport.abort()
