"""JSON-RPC batches, which the revision 2025-03-26 alone has (basic/transports §Sending Messages to the Server).

Each member is handled as if it had come by itself, with a lease and an error of its own; all answers go back
on one event stream as they come, or in one array to a client that takes no stream.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from longshore.gateway.mcp.exchange import Exchange, Sink, caller_of, lease_id, may_change_lists, open_session
from longshore.gateway.mcp.forwarding.relay import STREAM_HEADERS, error_message
from longshore.gateway.mcp.replies.event_streams import STREAMS
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import RequestContext, context_of
from longshore.gateway.wire import envelope as wire
from longshore.gateway.wire import modern, sse
from longshore.gateway.wire.envelope import Envelope, Kind
from longshore.shared import ids
from longshore.shared.errors import BadRequest, LongshoreError, ParseError, UnsupportedRevision

_REVISION = "2025-03-26"
_MOST_MEMBERS = 100
_decoder = msgspec.json.Decoder(list[msgspec.Raw])

Handle = Callable[[Exchange], Awaitable[web.StreamResponse]]


async def post(mount: Mount, request: web.Request, body: bytes, handle: Handle) -> web.StreamResponse:
    """Handle every member with `handle`. Raises BadRequest where the session's revision has no batches."""
    caller = caller_of(request, mount)
    session = await open_session(request, caller)
    if session.protocol != _REVISION:
        raise BadRequest(
            f"a JSON array is a batch, which revision {session.protocol} does not have; send one message a request"
        )
    members = _members(request, body)
    asked = [member for member, _ in members if member.kind is Kind.REQUEST]
    as_stream = "text/event-stream" in request.headers.get("Accept", "*/*")
    if not asked:
        await asyncio.gather(*(_one(mount, request, member, raw, None, handle) for member, raw in members))
        return web.Response(status=202)
    if as_stream:
        return await _streamed(mount, request, members, handle)
    collected: list[bytes] = []

    async def collect(message: bytes) -> None:
        collected.append(message)

    sink = Sink(collect, answers_only=True)
    await asyncio.gather(*(_one(mount, request, member, raw, sink, handle) for member, raw in members))
    return web.Response(body=b"[" + b",".join(collected) + b"]", content_type="application/json")


def _members(request: web.Request, body: bytes) -> list[tuple[Envelope, bytes]]:
    try:
        raws = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ParseError("the body is not valid JSON in UTF-8") from None
    if not 0 < len(raws) <= _MOST_MEMBERS:
        raise BadRequest(f"a batch holds 1 to {_MOST_MEMBERS} messages; this one has {len(raws)}")
    members = [(wire.parse(bytes(raw)), bytes(raw)) for raw in raws]
    for member, _ in members:
        if modern.is_modern(member, None):
            raise UnsupportedRevision("a message of the stateless revision stands alone; send one message a request")
        if member.method == "initialize":
            raise BadRequest("initialize must not be part of a batch")
    asked = [member.id for member, _ in members if member.kind is Kind.REQUEST]
    if len({(type(request_id), request_id) for request_id in asked}) != len(asked):
        raise BadRequest("two requests of a batch have the same id")
    return members


async def _streamed(
    mount: Mount, request: web.Request, members: list[tuple[Envelope, bytes]], handle: Handle
) -> web.StreamResponse:
    response = web.StreamResponse(headers={**STREAM_HEADERS, "Content-Type": "text/event-stream"})
    context_of(request).head_sent = True
    await response.prepare(request)
    streams = request.app[STREAMS]
    stream = streams.add(response)

    async def send(message: bytes) -> None:
        await stream.write(sse.event(message))

    sink = Sink(send, answers_only=False)
    try:
        await asyncio.gather(*(_one(mount, request, member, raw, sink, handle) for member, raw in members))
    finally:
        streams.remove(stream)
    await response.write_eof()
    return response


async def _one(
    mount: Mount, request: web.Request, member: Envelope, raw: bytes, sink: Sink | None, handle: Handle
) -> None:
    """One member; whatever goes wrong with it is its own answer."""
    outer = context_of(request)
    context = RequestContext(
        request_id=ids.new_id(), route_group=outer.route_group, server=outer.server, method=member.method,
        message_id=member.id, is_message=True, session_id=outer.session_id, started_s=outer.started_s,
        principal=outer.principal,
    )
    caller = caller_of(request, mount)
    try:
        session = await open_session(
            request, caller, lease=lease_id(context, member), may_change_lists=may_change_lists(member)
        )
        exchange = Exchange(request, mount, caller, session, member, raw, context, sink)
        response = await handle(exchange)
    except LongshoreError as err:
        if sink is not None and member.kind is Kind.REQUEST:
            await sink.send(error_message(context, err))
        return
    if sink is not None and member.kind is Kind.REQUEST and not exchange.answered:
        body = response.body if isinstance(response, web.Response) else None
        await sink.send(bytes(body) if isinstance(body, bytes) else b"{}")
