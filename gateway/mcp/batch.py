"""JSON-RPC batches, which only the revision 2025-03-26 has (basic/transports §Sending Messages to the Server).

Each member is handled as if it had come by itself, with a lease and an error of its own. All responses go back on one
event stream as they come, or in one array to a client that accepts no stream.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
from aiohttp import web

from longshore.gateway.mcp.exchange import PLAIN, Exchange, Handle, caller_of, lease_id, may_change_lists, open_session
from longshore.gateway.mcp.replies.errors import error_message
from longshore.gateway.mcp.replies.reply import BatchReply, HttpReply
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import RequestContext, context_of
from longshore.gateway.wire import envelope as wire
from longshore.gateway.wire import jsonrpc, modern
from longshore.gateway.wire.envelope import Envelope, Kind, MessageId
from longshore.gateway.wire.protocol_errors import ParseError, UnsupportedRevision
from longshore.shared import ids
from longshore.shared.errors import BadRequest, LongshoreError

_REVISION = "2025-03-26"
_MOST_MEMBERS = 100
_decoder = msgspec.json.Decoder(list[msgspec.Raw])

Send = Callable[[bytes], Awaitable[None]]    # takes the messages of a member


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
    collected: list[bytes] = []

    async def collect(message: bytes) -> None:
        collected.append(message)

    reply = HttpReply(request, context_of(request))
    send = collect
    if asked and as_stream:
        await reply.start()
        send = reply.notify
    try:
        await asyncio.gather(*(
            _one(mount, request, member, raw, partial(BatchReply, send, as_stream), handle) for member, raw in members
        ))
    finally:
        reply.close()
    if not asked:
        return web.Response(status=202)
    return await (reply.end() if as_stream else reply.finish(b"[" + b",".join(collected) + b"]"))


def _members(request: web.Request, body: bytes) -> list[tuple[Envelope, bytes]]:
    try:
        raws = _decoder.decode(body)
    except jsonrpc.UNREADABLE:
        raise ParseError("the body is not valid JSON in UTF-8") from None
    if not 0 < len(raws) <= _MOST_MEMBERS:
        raise BadRequest(f"a batch holds 1 to {_MOST_MEMBERS} messages; this one has {len(raws)}")
    members = [(wire.parse(bytes(raw)), bytes(raw)) for raw in raws]
    for member, _ in members:
        if modern.is_modern(member, None):
            raise UnsupportedRevision("a message of revision 2026-07-28 must be sent alone; send one message a request")
        if member.method == "initialize":
            raise BadRequest("initialize must not be part of a batch")
    asked = [member.id for member, _ in members if member.kind is Kind.REQUEST]
    if len({(type(request_id), request_id) for request_id in asked}) != len(asked):
        raise BadRequest("two requests of a batch have the same id")
    return members


async def _one(
    mount: Mount, request: web.Request, member: Envelope, raw: bytes, new_reply: Callable[[MessageId], BatchReply],
    handle: Handle,
) -> None:
    """Handle one member; whatever goes wrong with it is its own answer."""
    outer = context_of(request)
    context = RequestContext(
        request_id=ids.new_id(), route_group=outer.route_group, server=outer.server, method=member.method,
        message_id=member.id, is_message=True, session_id=outer.session_id, started_s=outer.started_s,
        principal=outer.principal,
    )
    caller, reply = caller_of(request, mount), new_reply(member.id)
    try:
        session = await open_session(
            request, caller, lease=lease_id(context, member), may_change_lists=may_change_lists(member)
        )
        await handle(Exchange(request, mount, caller, session, member, raw, context, reply, PLAIN))
    except LongshoreError as err:
        if member.kind is Kind.REQUEST:
            await reply.send(error_message(context, err))
        return
    if member.kind is Kind.REQUEST and not reply.is_finished:
        await reply.send(error_message(context, LongshoreError("internal error")))
