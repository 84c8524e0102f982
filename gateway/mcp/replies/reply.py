"""Where what comes of one call goes: into a batch, or into an answer of its own, which is one JSON message unless
something has to be said before it."""

from functools import partial

from aiohttp import web

from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.relay import STREAM_HEADERS, break_off, first_byte, watch_lists
from longshore.gateway.mcp.replies.event_streams import STREAMS, OpenStream
from longshore.gateway.wire import sse
from longshore.shared.errors import LongshoreError


class Outlet:
    """The client's side of one call. `close` it, however the call ends."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._response: web.StreamResponse | None = None
        self._stream: OpenStream | None = None

    @property
    def is_open(self) -> bool:
        """Whether the client has something of the answer already, so that it cannot be another one."""
        return self._response is not None

    async def begin(self) -> None:
        """Make a stream of the answer, if it is none yet and the client takes one. Messages of a batch have one, or
        none at all."""
        if self._response is not None or self._exchange.sink is not None or not self._exchange.can_be_asked:
            return
        request, context = self._exchange.request, self._exchange.context
        response = web.StreamResponse(headers={**STREAM_HEADERS, "Content-Type": "text/event-stream"})
        context.head_sent = True
        await response.prepare(request)
        self._response = response
        self._stream = request.app[STREAMS].add(response, partial(first_byte, request, context))

    async def say(self, message: bytes, source: bytes | None = None) -> None:
        """Send a message that is not the answer, as the event `source` where it came as one."""
        exchange = self._exchange
        if exchange.sink is not None:
            if not exchange.sink.answers_only:
                await exchange.sink.send(message)
            return
        await self.begin()
        if self._stream is not None:
            watch_lists(exchange.request, exchange.context, message)
            await self._stream.write(sse.event(message) if source is None else source)

    async def end(self, response: bytes) -> web.StreamResponse:
        """Send the answer. The response that is returned for a member of a batch goes nowhere."""
        exchange = self._exchange
        if exchange.sink is not None:
            exchange.answered = True
            await exchange.sink.send(response)
            return web.Response()
        if self._response is None or self._stream is None:
            return web.Response(body=response, content_type="application/json")
        await self._stream.write(sse.event(response))
        self.close()
        await self._response.write_eof()
        return self._response

    async def fail(self, err: LongshoreError) -> web.StreamResponse:
        """Say on the stream that the call has failed. Raises `err` where there is none to say it on."""
        if self._response is None:
            raise err
        await break_off(self._response, self._exchange.context, err, is_stream=True)
        self.close()
        await self._response.write_eof()
        return self._response

    def close(self) -> None:
        """Nothing more goes out. Safe to repeat."""
        if self._stream is not None:
            self._exchange.request.app[STREAMS].remove(self._stream)
            self._stream = None
