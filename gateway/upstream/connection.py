"""One connection to an upstream, which carries one request at a time."""

import asyncio
import select
from collections.abc import Callable
from typing import cast

from longshore.gateway.upstream.http1 import ResponseParser
from longshore.shared.errors import LongshoreError, UpstreamDown

_MAX_UNREAD_BYTES = 256 * 1024     # of body that nobody has taken; above it the server is made to wait


class Connection(asyncio.Protocol):
    """The transport's protocol, and the way to send one request and read its answer.

    A request's body is in memory already and is handed to the transport whole; an answer is read no faster
    than it is taken.
    """

    def __init__(self, gone: Callable[["Connection"], None]) -> None:
        self._on_lost = gone                        # told once, when the connection is lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: LongshoreError | None = None
        self._is_busy = False
        self._is_paused = False
        self.response = ResponseParser()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.requests = 0                        # that it has carried
        self.idle_since_s = 0.0                  # by the loop's clock

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if not self._is_busy:
            self.abort()
            return
        answer = self.response
        try:
            answer.feed(data)
        except UpstreamDown as err:
            self.fail(err)
            return
        if answer.waiting_bytes > _MAX_UNREAD_BYTES and not self._is_paused and self._transport is not None:
            self._transport.pause_reading()
            self._is_paused = True
        if answer.has_head:
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

    # What an exchange calls.

    def send(self, head: bytes, body: bytes | None, *, expects_body: bool = True) -> None:
        """Send one request, whose answer is then in `answer`. Raises UpstreamDown when it is closed already."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise UpstreamDown("the connection to the upstream server was lost")
        self.response.expect(body=expects_body)
        self._is_busy = True
        self.requests += 1
        transport.write(head + body if body else head)

    async def wait_head(self) -> None:
        """Return when the head of the answer is there. Raises UpstreamDown, or what `fail` was given."""
        while not self.response.has_head:
            await self._wait_for_data()

    async def read(self) -> bytes:
        """The next piece of the body, empty at its end. Raises UpstreamDown, or what `fail` was given."""
        answer = self.response
        while not answer.pieces:
            if answer.is_complete:
                return b""
            await self._wait_for_data()
        data = answer.take()
        if self._is_paused and not answer.pieces:
            self._resume()
        return data

    async def peek_body(self, timeout_s: float, limit_bytes: int) -> bytes:
        """The whole body without taking it, if it is there within the time and no longer than the limit; else b""."""
        answer = self.response
        try:
            async with asyncio.timeout(timeout_s):
                while not answer.is_complete and answer.waiting_bytes <= limit_bytes and self._failure is None:
                    await self._wait_for_data()
        except TimeoutError:
            return b""
        fits = answer.is_complete and answer.waiting_bytes <= limit_bytes
        return b"".join(answer.pieces) if fits else b""

    async def wait_readable(self, timeout_s: float) -> bool:
        """Whether there is more of the body to read, or its end, within the time."""
        answer = self.response
        try:
            async with asyncio.timeout(timeout_s):
                while not answer.is_complete and not answer.waiting_bytes and self._failure is None:
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
        """End the connection; whoever waits for the answer gets `failure`, unless all of it has come."""
        if not self.response.is_complete and self._failure is None:
            self._failure = failure
        self._wake()
        self.abort()

    def release(self) -> bool:
        """End the request. True when the connection may carry another, which is then idle; else it is closed."""
        transport, answer = self._transport, self.response
        if (
            transport is None or self._failure is not None or not (answer.is_complete and answer.keeps_alive)
            or transport.is_closing() or transport.get_write_buffer_size()
        ):
            self.abort()
            return False
        answer.pieces.clear()
        if self._is_paused:
            self._resume()
        self._is_busy = False
        self.idle_since_s = self._loop.time()
        return True

    def is_usable(self) -> bool:
        """Whether an idle connection can take a request: it is open, and the server has not closed its side.

        A close that has arrived but that a busy loop has not read yet is found by asking the kernel.
        """
        transport = self._transport
        return transport is not None and not transport.is_closing() and not self._poll.poll(0)

    def abort(self) -> None:
        """Close at once. Safe to repeat."""
        if self._transport is not None:
            self._transport.abort()
