"""What a client is told of a call whose server may ask it, whichever gateway the call runs in."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import msgspec
from aiohttp import web

from longshore.gateway.mcp.input_requests.request_state import RequestState
from longshore.gateway.mcp.input_requests.standing_streams import quietly
from longshore.gateway.mcp.input_requests.suspended_call import Ended, Quiet, Said, SuspendableCall
from longshore.gateway.mcp.input_requests.suspended_calls import NOTHING_SAID, SuspendedCalls
from longshore.gateway.mcp.replies.reply import JSON, HttpReply
from longshore.gateway.request_context import context_of
from longshore.gateway.wire import server_requests
from longshore.gateway.wire.envelope import Envelope
from longshore.shared.error_records import error_of
from longshore.shared.errors import LongshoreError, UpstreamDown
from longshore.shared.jobs import JobRefused
from longshore.shared.messaging.message_stream import MessageReceiver
from longshore.shared.tasks import Tasks

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
    """Write what the call says as the reply to this request. A client that leaves cancels its call."""
    context = context_of(request)
    context.in_tool_call = message.method == "tools/call"
    reply = HttpReply(request, context)
    try:
        while True:
            try:
                heard = await source.hear()
            except LongshoreError as err:
                return await reply.fail(err)
            match heard:
                case Ended():
                    return await _finish(reply, heard, message)
                case Said():
                    await reply.notify(heard.data)
                case Quiet():
                    await reply.start()
    except (asyncio.CancelledError, ConnectionError):
        source.leave()
        raise
    finally:
        reply.close()


async def _finish(reply: HttpReply, ended: Ended, message: Envelope) -> web.StreamResponse:
    """Write the end of the call, under the id of this request where it is a message."""
    if ended.headers.get("Content-Type", JSON).startswith(JSON):
        body = server_requests.with_id(ended.body, message.id)
    elif not reply.is_started:
        body = ended.body
    else:
        return await reply.fail(UpstreamDown(f"the upstream server answered with HTTP status {ended.status}"))
    return await reply.finish(body, status=ended.status, headers=ended.headers)
