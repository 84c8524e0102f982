"""What a client is told of a call whose server may ask it, whichever gateway the call runs in."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec
from aiohttp import web

from longshore.gateway.mcp.forwarding.relay import STREAM_HEADERS, error_message, first_byte
from longshore.gateway.mcp.input_requests.request_state import RequestState
from longshore.gateway.mcp.input_requests.standing_streams import quietly
from longshore.gateway.mcp.input_requests.suspended_call import Ended, Quiet, Said, SuspendableCall
from longshore.gateway.mcp.input_requests.suspended_calls import NOTHING_SAID, SuspendedCalls
from longshore.gateway.mcp.replies.event_streams import STREAMS
from longshore.gateway.request_context import RequestContext, context_of
from longshore.gateway.wire import inputs, sse
from longshore.gateway.wire.envelope import Envelope
from longshore.shared.error_records import error_of
from longshore.shared.errors import LongshoreError, UpstreamDown
from longshore.shared.jobs import JobRefused
from longshore.shared.messaging.message_stream import MessageReceiver
from longshore.shared.tasks import Tasks

_JSON = "application/json"
_items: msgspec.msgpack.Decoder[Said | Ended | JobRefused] = msgspec.msgpack.Decoder(Said | Ended | JobRefused)


class OutputSource(Protocol):
    """Where a call is heard."""

    async def hear(self) -> Said | Quiet | Ended:
        """What comes next. Raises what the call failed with."""

    def leave(self) -> None:
        """The client went away, which cancels its call (MCP 2026-07-28 basic/patterns/cancellation)."""


@dataclass(frozen=True, slots=True)
class LocalCall:
    """A call of this gateway."""

    parked: SuspendedCalls
    call: SuspendableCall

    async def hear(self) -> Said | Quiet | Ended:
        return await self.parked.hear(self.call)

    def leave(self) -> None:
        self.parked.cancel(self.call, "the client went away")


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """A call that another gateway holds."""

    parked: SuspendedCalls
    incoming: MessageReceiver
    state: RequestState
    tasks: Tasks

    async def hear(self) -> Said | Quiet | Ended:
        data = await self.incoming.next()
        if data is None:
            return Quiet()
        item = _items.decode(data)
        if item == NOTHING_SAID:
            return Quiet()
        if isinstance(item, JobRefused):
            raise error_of(item)
        return item

    def leave(self) -> None:
        told = self.parked.mailboxes.deliver(self.state.scope, self.state.disconnect_box, b"")
        self.tasks.spawn(quietly(told), name="tell_of_leaving")


async def stream_to_client(request: web.Request, source: OutputSource, message: Envelope) -> web.StreamResponse:
    """One answer of HTTP: a message where nothing comes before it, else a stream."""
    context = context_of(request)
    context.in_tool_call = message.method == "tools/call"
    outgoing: _Outgoing | None = None
    try:
        while True:
            try:
                heard = await source.hear()
            except LongshoreError as err:
                if outgoing is None:
                    raise
                context.reason = err.reason
                return await outgoing.end(error_message(context, err))
            if isinstance(heard, Ended):
                is_message = heard.headers.get("Content-Type", _JSON).startswith(_JSON)
                body = inputs.with_id(heard.body, message.id) if is_message else heard.body
                if outgoing is not None:
                    refused = UpstreamDown(f"the upstream server answered with HTTP status {heard.status}")
                    return await outgoing.end(body if is_message else error_message(context, refused))
                return web.Response(body=body, status=heard.status, headers={"Content-Type": _JSON, **heard.headers})
            if outgoing is None:
                outgoing = await _Outgoing.begun(request, context)
            if isinstance(heard, Said):
                await outgoing.say(heard.data)
    except (asyncio.CancelledError, ConnectionError):
        source.leave()
        raise
    finally:
        if outgoing is not None:
            outgoing.close()


class _Outgoing:
    """An event stream to the client."""

    def __init__(self, request: web.Request, response: web.StreamResponse, context: RequestContext) -> None:
        self._streams = request.app[STREAMS]
        self._response = response
        self._stream = self._streams.add(response, partial(first_byte, request, context))

    @classmethod
    async def begun(cls, request: web.Request, context: RequestContext) -> "_Outgoing":
        response = web.StreamResponse(headers={**STREAM_HEADERS, "Content-Type": "text/event-stream"})
        context.head_sent = True
        await response.prepare(request)
        return cls(request, response, context)

    async def say(self, data: bytes) -> None:
        await self._stream.write(sse.event(data))

    async def end(self, data: bytes) -> web.StreamResponse:
        await self.say(data)
        await self._response.write_eof()
        return self._response

    def close(self) -> None:
        self._streams.remove(self._stream)
