"""Streamable HTTP endpoint of one server for legacy clients: POST, GET and DELETE on its mount.

MCP 2025-11-25 basic/transports §Streamable HTTP. The gateway mints the client's session id. The upstream's session id
is stored beside it in Redis, so that any replica serves any request of any session.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from longshore.gateway.appkeys import CONFIG, QUEUE, SESSIONS, TASKS
from longshore.gateway.files import sep_2631
from longshore.gateway.mcp import batch, capabilities, modern_endpoint
from longshore.gateway.mcp.exchange import (
    PLAIN,
    Exchange,
    caller_of,
    has_lost_upstream,
    lease_id,
    may_change_lists,
    open_session,
    upstream_headers,
)
from longshore.gateway.mcp.forwarding.forward import check_kind, forward, has_lost_session, relay
from longshore.gateway.mcp.forwarding.relay_standing import Standing, relay_standing
from longshore.gateway.mcp.forwarding.to_modern_upstream import ToModern
from longshore.gateway.mcp.input_requests.retry_loop import forward_with_input
from longshore.gateway.mcp.methods import (
    discover,
    file_transfer,
    initialize,
    legacy_session_requests,
    lists,
    subscribe,
    tools_call,
)
from longshore.gateway.mcp.replies.reply import HttpReply
from longshore.gateway.mcp.sessions import log_levels
from longshore.gateway.mcp.sessions.leases import LEASES
from longshore.gateway.mcp.sessions.renewal import renew, reopen_upstream
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import SESSION_HEADER, VERSION_HEADER, context_of
from longshore.gateway.upstream import rpc
from longshore.gateway.upstream.client import UpstreamResponse
from longshore.gateway.wire import changes, lost_sessions, modern
from longshore.gateway.wire import envelope as wire
from longshore.gateway.wire.envelope import Kind
from longshore.shared import ids, tracing
from longshore.shared.errors import (
    BadRequest,
    NotAcceptable,
    SessionGone,
    SlowRequest,
    TooLarge,
    UpstreamDown,
    WrongMediaType,
)
from longshore.shared.jobs import RemoveScope
from longshore.shared.state.sessions import Caller

_BODY_S = 30.0
_PEEK_S = 1.0                # for the body of a refusal
_HANDLERS: dict[str, Callable[[Exchange], Awaitable[web.StreamResponse]]] = {
    "tools/call": tools_call.call,
    "tools/list": lists.tools,
    "prompts/list": lists.upstreams,
    "resources/templates/list": lists.templates,
    "resources/list": lists.resources,
    "resources/read": lists.read,
    "server/discover": discover.discover,
    "subscriptions/listen": discover.listen,
    sep_2631.AUTHORIZE_UPLOAD: file_transfer.upload,
    sep_2631.AUTHORIZE_DOWNLOAD: file_transfer.download,
}


async def post(mount: Mount, request: web.Request) -> web.StreamResponse:
    """Handle a POST: one message, or a batch. Requests take a lease; responses and notifications never do."""
    context = context_of(request)
    body = await _read_body(request)
    wire.check_depth(body, request.app[CONFIG].core.max_json_depth)
    if body.lstrip()[:1] == b"[":
        return await batch.post(mount, request, body, _handle_member)
    message = wire.parse(body)
    context.message_id, context.method = message.id, _known(message.method)
    if context.trace is not None and message.traceparent:
        context.trace.adopt_trace(message.traceparent)
    if modern.is_modern(message, request.headers.get(VERSION_HEADER)):
        return await modern_endpoint.post(mount, request, message, body, _handle)
    if message.method == "initialize" and message.kind is Kind.REQUEST:
        return await initialize.initialize(mount, request, message, body)
    caller = caller_of(request, mount)
    session = await open_session(
        request, caller, lease=lease_id(context, message), may_change_lists=may_change_lists(message)
    )
    reply = HttpReply(request, context)
    return await _handle(Exchange(request, mount, caller, session, message, body, context, reply, PLAIN))


def _known(method: str) -> str:
    return method if method in _KNOWN_METHODS else "other"


async def _handle_member(exchange: Exchange) -> web.StreamResponse:
    """Handle one message of a batch, with a span of its own below the span of the HTTP request."""
    method = _known(exchange.envelope.method)
    with tracing.child(method) as span:
        response = await _handle(exchange)
        if span is not None:
            span.set("mcp.method.name", method)
            span.set("jsonrpc.request.id", str(exchange.envelope.id)[:64])
            if exchange.context.tool:
                span.set("gen_ai.tool.name", exchange.context.tool)
        return response


async def _handle(exchange: Exchange) -> web.StreamResponse:
    """Handle one message in its session. Its lease is kept until the answer is complete."""
    leases, message, mount = exchange.request.app[LEASES], exchange.envelope, exchange.mount
    lease = lease_id(exchange.context, message)
    leases.acquire(exchange.caller.session_id, lease)
    try:
        exchange.context.executing = message.kind is Kind.REQUEST
        if has_lost_upstream(exchange.session):
            exchange.session = await reopen_upstream(exchange.request, mount, exchange.caller, exchange.session)
        if exchange.route is PLAIN and capabilities.MODERN in exchange.session.flags:
            _check_replaced(exchange)
            exchange.route = ToModern(forward_with_input)
            if (answer := await legacy_session_requests.answer_locally(exchange)) is not None:
                return answer
        if exchange.route.log_level:
            await log_levels.raise_level(exchange)
        return await _HANDLERS.get(message.method, passthrough)(exchange)
    except UpstreamDown:
        mount.monitor.needs_probe.set()
        raise
    finally:
        leases.release(exchange.caller.session_id, lease)
        if exchange.reply.is_started:
            exchange.reply.close()


def _check_replaced(exchange: Exchange) -> None:
    """Raise SessionGone for a session over a modern upstream, where a legacy upstream has taken its place since."""
    monitor = exchange.mount.monitor
    is_replaced = monitor.readiness == "ready" and not monitor.is_modern_only
    if is_replaced and SESSION_HEADER in exchange.request.headers:
        raise SessionGone("the upstream server was replaced; start a new session with initialize")


async def passthrough(exchange: Exchange) -> web.StreamResponse:
    """Forward a message that longshore does not change."""
    if exchange.envelope.kind is not Kind.REQUEST:
        return await _one_way(exchange)
    return await forward(exchange, exchange.body, timeout_s=exchange.timeout_s)


async def _one_way(exchange: Exchange) -> web.StreamResponse:
    """Forward a response or a notification. A lost upstream session is not renewed for it: its subject was lost too."""
    async with exchange.mount.client.exchange(
        "POST", exchange.upstream_headers(), exchange.body, timeout_s=exchange.timeout_s
    ) as answer:
        if exchange.session.upstream_id and answer.status in (400, 404) and await has_lost_session(exchange, answer):
            return web.Response(status=202)
        return await relay(exchange, answer)


async def get(mount: Mount, request: web.Request) -> web.StreamResponse:
    """Handle a GET: open the stream for messages of the server, or resume a stream that broke off."""
    modern_endpoint.refuse_verb(request)
    if "text/event-stream" not in request.headers.get("Accept", "") and "*/*" not in request.headers.get("Accept", ""):
        raise NotAcceptable("a GET on this path opens an event stream; send Accept: text/event-stream")
    caller = caller_of(request, mount)
    session = await open_session(request, caller)
    if has_lost_upstream(session):
        session = await reopen_upstream(request, mount, caller, session)
    if capabilities.MODERN in session.flags:
        return await subscribe.stand(request, mount, caller, session, _session_head(request, caller))
    left = request.app[CONFIG].sessions.upstream_session_termination_retries
    upstream_id = session.upstream_id
    while True:
        async with mount.client.exchange("GET", upstream_headers(request, mount, upstream_id)) as answer:
            is_lost = upstream_id != "" and left > 0 and await _is_refused_session(answer)
            own_alone = answer.status in _NO_STREAM and (answer.status != 405 or mount.adapters.exposes_artifacts)
            if not is_lost and not own_alone:
                check_kind(answer, is_request=True)
                return await _stand(request, mount, caller, answer)
        if not is_lost:
            if not mount.adapters.exposes_artifacts:
                raise web.HTTPMethodNotAllowed("GET", ["POST", "DELETE"])
            return await subscribe.stand_alone(request, mount, caller, _session_head(request, caller))
        left -= 1
        upstream_id = await renew(request, mount, caller, lost=upstream_id)


# Servers that take POST alone answer a GET so.
_NO_STREAM = frozenset({400, 404, 405, 501})


async def _is_refused_session(answer: UpstreamResponse) -> bool:
    """True where a GET was refused for its session id. A bare 404 says that the server has no such stream."""
    return answer.status in (400, 404) and lost_sessions.is_refused_session(await answer.peek_body(_PEEK_S))


async def _stand(
    request: web.Request, mount: Mount, caller: Caller, answer: UpstreamResponse
) -> web.StreamResponse:
    """Relay a standing stream. Its session does not expire while it is open."""
    leases, lease = request.app[LEASES], ids.new_id()
    scope = caller.session_id if mount.adapters.exposes_artifacts else ""
    try:
        await leases.acquire_stream(caller.session_id, lease)
        standing = Standing(scope=scope, notice=changes.OWN_RESOURCES_EVENT)
        return await relay_standing(
            HttpReply(request, context_of(request)), answer, standing, _session_head(request, caller)
        )
    finally:
        leases.release_stream(caller.session_id, lease)


def _session_head(request: web.Request, caller: Caller) -> dict[str, str]:
    return {SESSION_HEADER: caller.session_id} if SESSION_HEADER in request.headers else {}


async def delete(mount: Mount, request: web.Request) -> web.StreamResponse:
    """Handle a DELETE: end the session with its files, and the upstream's session with it."""
    modern_endpoint.refuse_verb(request)
    if SESSION_HEADER not in request.headers:
        raise BadRequest(f"send the header {SESSION_HEADER} of the session to end")
    caller = caller_of(request, mount)
    # The upstream's session is ended from here, where the caller's own headers are at hand.
    ended = await request.app[SESSIONS].end(caller, reason="ended by the client", queue_upstream=False)
    await request.app[QUEUE].enqueue(RemoveScope(scope=caller.session_id))
    if ended.upstream_id:
        headers = upstream_headers(request, mount, ended.upstream_id)
        request.app[TASKS].spawn(rpc.end_session(mount.client, headers), name="end_upstream_session")
    return web.Response(status=204)


async def _read_body(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise WrongMediaType("send messages as Content-Type: application/json")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise WrongMediaType("compressed bodies are not taken here; send the message as it is")
    limit = request.app[CONFIG].core.max_body_bytes
    if request.content_length is not None and request.content_length > limit:
        raise TooLarge(f"the body has {request.content_length} bytes; {limit} are the limit (core.max_body_bytes)")
    try:
        if request.content.is_eof():     # as nearly always: it came with its head
            body = await request.read()
        else:
            async with asyncio.timeout(_BODY_S):
                body = await request.read()
    except asyncio.IncompleteReadError:
        raise BadRequest("the body ended early") from None
    except TimeoutError:
        raise SlowRequest(f"the body did not come within {_BODY_S:g} seconds") from None
    if not body:
        raise BadRequest("the body is empty; send one JSON-RPC message")
    return body


_KNOWN_METHODS = sep_2631.METHODS | frozenset({
    "initialize", "ping", "tools/call", "tools/list", "resources/list", "resources/read", "resources/templates/list",
    "resources/subscribe", "resources/unsubscribe", "prompts/list", "prompts/get", "completion/complete",
    "logging/setLevel", "notifications/initialized", "notifications/cancelled", "notifications/progress",
    "notifications/roots/list_changed", "server/discover", "tasks/get", "tasks/result", "tasks/list", "tasks/cancel",
    "subscriptions/listen",
})
