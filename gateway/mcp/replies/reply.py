"""Replies to messages of clients: an HTTP response of its own, or a place in another answer, such as that to a batch.

A reply is one JSON body unless something has to be sent before the response; then it is an event stream.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from aiohttp import web

from longshore.gateway.mcp.replies.errors import error_message
from longshore.gateway.mcp.replies.event_streams import STREAMS, OpenStream, open_event_stream
from longshore.gateway.request_context import RequestContext
from longshore.gateway.wire import jsonrpc, sse
from longshore.gateway.wire.envelope import MessageId
from longshore.shared.errors import LongshoreError, UpstreamDown

log = structlog.get_logger(__name__)

JSON = "application/json"
NO_HEADERS: Mapping[str, str] = {}


class Reply(ABC):
    """Writer of the reply to one message. A handler answers its message through `finish`, `fail` or `end`.

    What is not abstract here is as it is for a reply within another answer, which begins and ends by itself.
    """

    __slots__ = ()

    owns_response = False        # it is an HTTP response, whose body may be any bytes and of any length
    is_started = False           # its head has gone out: it can be no other HTTP response any more

    @property
    @abstractmethod
    def takes_messages(self) -> bool:
        """True where notifications and requests may be sent before the response."""

    async def start(self, headers: Mapping[str, str] = NO_HEADERS, *, status: int = 200) -> None:
        """Make an event stream of the reply, where it is none yet and can be one."""

    @abstractmethod
    async def notify(self, message: bytes, event: bytes | None = None) -> None:
        """Send a message before the response, as the bytes of `event` where it came as one. It is lost where the
        client takes none."""

    @abstractmethod
    async def finish(
        self, response: bytes, *, event: bytes | None = None, status: int = 200,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> web.StreamResponse:
        """Send the response, as the bytes of `event` on a stream where it came as one. `status` and `headers` are for
        a JSON body."""

    async def fail(self, err: LongshoreError) -> web.StreamResponse:
        """Send the error on the stream that was started. Raises `err` where there is none to send it on."""
        raise err

    def note_failure(self, err: LongshoreError) -> None:
        """Note for log and metrics that the reply broke off after its head went out."""

    async def end(self) -> web.StreamResponse:
        """End the reply without a response, as the upstream did. Raises UpstreamDown where that cannot be shown."""
        raise UpstreamDown("the upstream server ended its stream without an answer")

    def close(self) -> None:
        """Write nothing more. Safe to repeat."""


@dataclass(slots=True)
class HttpReply(Reply):
    """Reply that is an HTTP response of its own."""

    request: web.Request
    context: RequestContext
    is_started: bool = False
    stream: OpenStream | None = None

    owns_response = True

    @property
    def takes_messages(self) -> bool:
        accept = self.request.headers.get("Accept", "*/*")
        return "text/event-stream" in accept or "*/*" in accept

    async def start(self, headers: Mapping[str, str] = NO_HEADERS, *, status: int = 200) -> None:
        if self.stream is None:
            self.is_started = True
            self.stream = await open_event_stream(self.request, headers, status=status, context=self.context)

    async def start_standing(self, headers: Mapping[str, str], *, status: int = 200) -> OpenStream:
        """Make a stream of the reply that stays open: the time until its first bytes is not counted."""
        self.is_started = True
        stream = self.stream = await open_event_stream(self.request, headers, status=status)
        if self.context.trace is not None:
            self.context.trace.end_early(status)
        return stream

    async def notify(self, message: bytes, event: bytes | None = None) -> None:
        if self.stream is None and self.takes_messages:
            await self.start()
        if self.stream is not None:
            await self.stream.write(sse.event(message) if event is None else event)

    async def finish(
        self, response: bytes, *, event: bytes | None = None, status: int = 200,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> web.StreamResponse:
        if self.stream is None:
            return web.Response(body=response, status=status, headers={"Content-Type": JSON, **headers})
        await self.stream.write(sse.event(response) if event is None else event)
        return self.stream.response

    async def fail(self, err: LongshoreError) -> web.StreamResponse:
        if self.stream is None:
            raise err
        self.note_failure(err)
        if self.context.message_id is not None:
            await self.stream.write(sse.event(error_message(self.context, err)))
        return self.stream.response

    def note_failure(self, err: LongshoreError) -> None:
        self.context.reason = err.reason
        log.info("answer_broken_off", reason=err.reason, server=self.context.server)

    async def end(self) -> web.StreamResponse:
        await self.start()
        assert self.stream is not None
        return self.stream.response

    def close(self) -> None:
        if self.stream is not None:
            self.request.app[STREAMS].remove(self.stream)


@dataclass(slots=True)
class BatchReply(Reply):
    """Reply to one member of a batch, which goes into the answer to the whole batch by `send`."""

    send: Callable[[bytes], Awaitable[None]]
    has_stream: bool             # False where the batch is answered with an array of responses
    message_id: MessageId
    is_finished: bool = False

    @property
    def takes_messages(self) -> bool:
        return self.has_stream

    async def notify(self, message: bytes, event: bytes | None = None) -> None:
        if message and self.has_stream:
            await self.send(message)

    async def finish(
        self, response: bytes, *, event: bytes | None = None, status: int = 200,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> web.StreamResponse:
        if status != 200 and not jsonrpc.is_response_to(response, self.message_id):
            raise UpstreamDown(f"the upstream server answered with HTTP status {status}")
        self.is_finished = True
        await self.send(response)
        return web.Response()            # goes nowhere
