"""HTTP client of one upstream: pooled keep-alive connections, streamed responses; no redirects, no decoding.

A request is sent once. If its connection ends before the first byte of a response, the server may still have acted
on it. So only GET and DELETE, which are idempotent (RFC 9110 §9.2.2), are sent again, on a fresh connection; a POST
fails. The pool keeps this rare: it does not use connections that the server has closed or is about to close.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType

from longshore.gateway.upstream.connection import Connection
from longshore.gateway.upstream.dial import Origin
from longshore.gateway.upstream.http1 import request_head
from longshore.gateway.upstream.pool import Pool
from longshore.gateway.wire import sse
from longshore.shared import tracing
from longshore.shared.config import Server
from longshore.shared.errors import LongshoreError, UpstreamDown, UpstreamTimeout
from longshore.shared.tracing import Span

_MAX_BODY_BYTES = 64 * 1024 * 1024   # of a response that is read as a whole
_SHORT_BYTES = 256 * 1024
_REPEATABLE = frozenset({"GET", "HEAD", "DELETE"})


# Response headers that are passed on to the client.
FORWARDED_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
_FORWARDED_HEADERS = tuple((name.lower().encode(), name) for name in FORWARDED_HEADERS)


class UpstreamResponse:
    """HTTP response whose head has arrived. Leaving its `async with` returns the connection to the pool."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        headers = connection.response.headers
        self.status = connection.response.status
        self.media_type, self.content_type = _media_type(headers.get(b"content-type", b""))
        self.session_id = _text(headers.get(b"mcp-session-id", b""))
        self.forwarded_headers = {name: _text(headers[key]) for key, name in _FORWARDED_HEADERS if key in headers}
        self.length = _length(connection)    # of the whole body in bytes; None if not known yet

    @property
    def is_stream(self) -> bool:
        """True if the body is a stream of server-sent events."""
        return self.content_type == "text/event-stream"

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives. Raises UpstreamDown if it breaks off, UpstreamTimeout past the deadline."""
        while chunk := await self._connection.read():
            yield chunk

    async def events(self, max_bytes: int) -> AsyncGenerator[sse.Event, None]:
        """Yield the body's server-sent events. Raises as `chunks`, and UpstreamDown if one exceeds `max_bytes`."""
        parser = sse.Parser(max_bytes)
        while chunk := await self._connection.read():
            for event in parser.feed(chunk):
                yield event

    async def peek_body(self, timeout_s: float) -> bytes:
        """Peek: the whole body if it is short and arrives within `timeout_s`, left unread; else b""."""
        return await self._connection.peek_body(timeout_s, _SHORT_BYTES)

    async def wait_readable(self, timeout_s: float) -> bool:
        """Wait until more of the body, or its end, can be read. False if nothing arrives within `timeout_s`."""
        return await self._connection.wait_readable(timeout_s)

    async def read_short(self) -> bytes | None:
        """Read the whole body if its length is known and small; else None, and nothing is read."""
        length = self.length
        if length is None or length > _SHORT_BYTES:
            return None
        return await self.read(_SHORT_BYTES)

    async def read(self, limit_bytes: int = _MAX_BODY_BYTES) -> bytes:
        """Read the whole body. Raises UpstreamDown above `limit_bytes` or if it breaks off."""
        parts: list[bytes] = []
        size = 0
        while chunk := await self._connection.read():
            size += len(chunk)
            if size > limit_bytes:
                raise UpstreamDown(f"the upstream server's answer is larger than {limit_bytes} bytes")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _length(connection: Connection) -> int | None:
    response = connection.response
    if response.is_complete:
        return response.unread_bytes
    declared = response.headers.get(b"content-length")
    return None if declared is None else int(declared)


@lru_cache(maxsize=256)
def _media_type(value: bytes) -> tuple[str, str]:
    """Split a `Content-Type`: the whole value, and the media type without parameters in lower case."""
    text = _text(value)
    return text, text.partition(";")[0].strip().lower()


def _text(value: bytes) -> str:
    """Decode a header value. The headers used here are ASCII; other bytes become U+FFFD."""
    return value.decode("utf-8", "replace").strip()


def _timed_out() -> UpstreamTimeout:
    return UpstreamTimeout("the upstream server did not answer within the time that is configured for the call")


@dataclass(slots=True)
class UpstreamRequest:
    """HTTP request to the upstream, its head already encoded."""

    method: str
    head: bytes
    body: bytes | None
    timeout_s: float | None
    is_long_lived: bool      # the response is a stream that stays open


class UpstreamExchange:
    """Request and response as an `async with` block: sends on entry, releases slot and connection on exit."""

    def __init__(self, pool: Pool, request: UpstreamRequest, span: Span | None = None) -> None:
        self._pool = pool
        self._span = span
        self._request = request
        self._is_stream = request.is_long_lived
        self._has_slot = False
        self._connection: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._head_timeout: asyncio.Timeout | None = None    # set until the response head has arrived
        self._failure: LongshoreError | None = None
        self._paused_remaining_s: float | None = None    # time left while the timeout is paused

    async def __aenter__(self) -> UpstreamResponse:
        request, deadline_s = self._request, None
        if request.timeout_s is not None:
            loop = asyncio.get_running_loop()
            deadline_s = loop.time() + request.timeout_s
            self._timer = loop.call_at(deadline_s, self._expire)
        try:
            response = await self._send_when_free(deadline_s)
            if self._span is not None:
                self._span.set("http.response.status_code", response.status)
                if response.is_stream and request.timeout_s is None:
                    self._span.end()        # the stream may stay open for days
            return response
        except BaseException as err:
            if self._span is not None:
                self._span.fail(type(err).__name__)
            self._release()
            raise

    async def _send_when_free(self, deadline_s: float | None) -> UpstreamResponse:
        """Wait for a slot, a connection and the response head. Raises the error that `fail` was called with."""
        if self._failure is not None:
            raise self._failure
        try:
            async with asyncio.timeout(None) as self._head_timeout:
                await self._pool.acquire_slot(stream=self._is_stream, until_s=deadline_s)
                self._has_slot = True
                return await self._send(deadline_s)
        except TimeoutError:
            if self._failure is None:
                raise
            raise self._failure from None
        finally:
            self._head_timeout = None

    async def _send(self, deadline_s: float | None) -> UpstreamResponse:
        request, connection = self._request, self._pool.take_idle()
        if connection is not None:
            self._connection = connection
            try:
                return await _send_on(connection, request)
            except UpstreamDown:
                if connection.response.has_started or request.method not in _REPEATABLE:
                    raise
        try:
            async with asyncio.timeout_at(deadline_s):
                connection = self._connection = await self._pool.connect()
        except TimeoutError:
            raise _timed_out() from None
        return await _send_on(connection, request)

    def fail(self, err: LongshoreError) -> None:
        """End the exchange, even before it is entered: `err` is raised to the task that reads the response."""
        self._failure = err
        if self._connection is not None:
            self._connection.fail(err)
        if self._head_timeout is not None and not self._head_timeout.expired():
            self._head_timeout.reschedule(asyncio.get_running_loop().time())

    @property
    def has_timed_out(self) -> bool:
        """True once its time ran out before its answer was complete."""
        return isinstance(self._failure, UpstreamTimeout)

    @property
    def remaining_s(self) -> float | None:
        """Time left until the timeout, None without one."""
        if self._paused_remaining_s is not None:
            return max(0.0, self._paused_remaining_s)
        return None if self._timer is None else max(0.0, self._timer.when() - asyncio.get_running_loop().time())

    def pause_timeout(self) -> None:
        """Stop counting down the timeout. Safe to repeat."""
        if self._timer is not None:
            self._paused_remaining_s = self._timer.when() - asyncio.get_running_loop().time()
            self._timer.cancel()
            self._timer = None

    def resume_timeout(self) -> None:
        """Count down the timeout again if it is paused."""
        if self._paused_remaining_s is not None and self._connection is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, self._paused_remaining_s), self._expire)
            self._paused_remaining_s = None

    def _expire(self) -> None:
        self.fail(_timed_out())

    def _release(self) -> None:
        if self._span is not None:
            self._span.end()
            self._span = None
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self._pool.put_back(self._connection)
            self._connection = None
        if self._has_slot:
            self._pool.release_slot(stream=self._is_stream)
            self._has_slot = False

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()


async def _send_on(connection: Connection, request: UpstreamRequest) -> UpstreamResponse:
    connection.send(request.head, request.body, expects_body=request.method != "HEAD")
    await connection.wait_head()
    return UpstreamResponse(connection)


class UpstreamClient:
    """HTTP client for everything that is sent to one server. Built at start-up, closed at shutdown."""

    def __init__(self, server: Server) -> None:
        origin = Origin.of(server.upstream.url, verify=not server.upstream.insecure_tls)
        static = {name.lower(): value for name, value in server.upstream.static_headers.items()}
        self._pool = Pool(origin)
        self._target = origin.target
        self._authority = static["host"].encode() if "host" in static else origin.authority
        self._authorization = origin.authorization

    def exchange(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None, *, timeout_s: float | None = None,
        is_long_lived: bool = False,
    ) -> UpstreamExchange:
        """Prepare one request; `async with` sends it and yields its UpstreamResponse once the head has arrived.

        `timeout_s` covers the whole response, its last byte included; None is without end. `is_long_lived` marks a
        response stream that stays open, as the one to a GET does: it takes a stream slot, not a call slot. Raises
        BadRequest for headers that cannot be sent; entering raises UpstreamDown, UpstreamTimeout or TooMany.
        """
        if self._authorization and not any(name.lower() == "authorization" for name in headers):
            headers = {**headers, "Authorization": self._authorization}
        span = tracing.start_child(f"upstream {method}", "client")
        if span is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != "traceparent"}
            headers["traceparent"] = span.traceparent
        request_line = b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method.encode(), self._target, self._authority)
        body_bytes = len(body or b"") if method == "POST" or body else None
        return UpstreamExchange(
            self._pool,
            UpstreamRequest(
                method, request_head(request_line, headers, body_bytes), body, timeout_s,
                is_long_lived or method == "GET",
            ),
            span,
        )

    async def close(self) -> None:
        """Close every connection; exchanges in flight fail with UpstreamDown."""
        await self._pool.close()
