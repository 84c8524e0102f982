"""Messages of modern clients on a mount: checked, given their scope, and handled on the route to the upstream's era.

MCP 2026-07-28 basic/transports/streamable-http. Such a caller has no session. Its scope is its principal on this
server, or a workspace of the principal's where it names one.
"""

import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from aiohttp import web

from longshore.gateway.appkeys import CONFIG, SIGNER
from longshore.gateway.files import sep_2631
from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.call_files import transfer_policy
from longshore.gateway.mcp.exchange import (
    Begin,
    Exchange,
    Handle,
    lease_id,
    may_change_lists,
    open_session,
    upstream_headers,
)
from longshore.gateway.mcp.forwarding import mirrored_headers
from longshore.gateway.mcp.forwarding.modern_direct import ModernDirect
from longshore.gateway.mcp.forwarding.to_legacy_upstream import ToLegacy
from longshore.gateway.mcp.input_requests import modern_client
from longshore.gateway.mcp.input_requests.listen_during_call import standing_stream_open
from longshore.gateway.mcp.input_requests.suspended_call import SuspendableCall
from longshore.gateway.mcp.methods import lists, subscribe, tools_call
from longshore.gateway.mcp.replies.reply import HttpReply
from longshore.gateway.mcp.sessions import renewal, upstream_sessions
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import VERSION_HEADER, RequestContext, context_of, principal_of
from longshore.gateway.upstream.era_cache import ERA_CACHE
from longshore.gateway.upstream.era_probe import Era, contradicts_modern
from longshore.gateway.upstream.rpc import Rejected
from longshore.gateway.wire import (
    jsonrpc,
    modern,
    param_headers,
    result_fields,
    server_requests,
    to_legacy,
    url_required,
)
from longshore.gateway.wire.envelope import Envelope, Kind
from longshore.gateway.wire.protocol_errors import InputMissing, InvalidParams, MethodNotFound, UnsupportedRevision
from longshore.shared.errors import BadRequest, NotAcceptable
from longshore.shared.state.sessions import Caller, OpenSession

WORKSPACE_HEADER = "X-Longshore-Workspace"
_WORKSPACE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_INIT_PARAMS = upstream_sessions.init_params(server_requests.NO_INPUT)
_BEGIN = Begin(capabilities.UNKNOWN, _INIT_PARAMS)


@dataclass(frozen=True, slots=True)
class Incoming:
    """Checked message with its caller."""

    message: Envelope
    body: bytes
    opened: modern.ModernRequest
    caller: Caller
    workspace: str


async def post(
    mount: Mount, request: web.Request, message: Envelope, body: bytes, handle: Handle
) -> web.StreamResponse:
    """Handle a POST of a modern client: `handle` gets the message once it has a scope and a route."""
    context_of(request).is_modern = True
    opened = modern.parse_request(message, body, request.headers)
    _check_accept(request.headers.get("Accept", ""))
    if message.kind is Kind.NOTIFICATION:    # the revision defines none: what a client says so is for nobody
        return web.Response(status=202)
    workspace = _workspace_of(request, opened)
    caller = _caller_of(request, mount, workspace)
    context_of(request).executing = message.kind is Kind.REQUEST
    came = Incoming(message, body, opened, caller, workspace)
    eras, monitor = request.app[ERA_CACHE], mount.monitor
    era = eras.known(monitor) or await eras.get(monitor, mount.client, upstream_headers(request, mount, ""))
    try:
        response = await _in_era(era, mount, request, came, handle)
    except Rejected:
        if not await eras.has_changed(monitor, mount.client, upstream_headers(request, mount, "")):
            raise
    else:
        is_strange = era == "modern" and isinstance(response, web.Response) and response.status in _STRANGE
        if not is_strange or not contradicts_modern(response.status, _body_of(response)):
            return response
        if not await eras.has_changed(monitor, mount.client, upstream_headers(request, mount, "")):
            return response
    # What was refused did not run: the upstream is of the other era than it was.
    return await _in_era("legacy" if era == "modern" else "modern", mount, request, came, handle)


_STRANGE = frozenset({400, 404})


def _body_of(response: web.StreamResponse) -> bytes:
    body = response.body if isinstance(response, web.Response) else None
    return body if isinstance(body, bytes) else b""


async def _in_era(
    era: Era, mount: Mount, request: web.Request, came: "Incoming", handle: Handle
) -> web.StreamResponse:
    """Handle the message on the route to an upstream of this era."""
    if era == "legacy":
        return await _to_session(mount, request, came, handle)
    message, body, caller = came.message, came.body, came.caller
    session = await _open(request, caller, message)
    session = replace(session, upstream_id="", flags=capabilities.TOOLS + capabilities.RESOURCES)
    if came.opened.workspace:
        body = modern.without_workspace(body)
    context = context_of(request)
    route = ModernDirect(_mirrors(request, came.opened), _fetches_files(request, body))
    reply = HttpReply(request, context)
    return await handle(Exchange(request, mount, caller, session, message, body, context, reply, route))


def refuse_verb(request: web.Request) -> None:
    """Raise 405 for a GET or DELETE of a revision that has neither."""
    version = request.headers.get(VERSION_HEADER)
    if version is not None and modern.is_modern_version(version):
        raise web.HTTPMethodNotAllowed(request.method, ["POST"])


async def _to_session(
    mount: Mount, request: web.Request, came: "Incoming", handle: Handle
) -> web.StreamResponse:
    """Handle the message in a session with a legacy upstream: that of the scope, or one for this call alone."""
    message, body, caller = came.message, came.body, came.caller
    takes = server_requests.parse_capabilities(came.opened.capabilities)
    policy = mount.server.sessionless_clients
    if policy == "refuse":
        raise UnsupportedRevision("this server speaks to callers within a session; start one with initialize")
    if message.method in to_legacy.LEGACY_ONLY_METHODS:
        raise MethodNotFound(f"this server has no method {message.method} in this revision")
    if message.method == "server/discover":
        return await _discover(mount, request, message)
    if message.method in modern.INPUT_METHODS and (again := server_requests.parse_retry(body)) is not None:
        if again.state:
            await _check_mirrors(mount, request, came)
            return await modern_client.resume(request, caller, message, again, takes)
        _check_agreed(context_of(request), message, again)
        body = again.body        # answers to nothing that waits for them
    context, session = context_of(request), await _open(request, caller, message)
    route = ToLegacy(
        f"longshore-{context.request_id}", to_legacy.log_level(body), _fetches_files(request, body), takes.url
    )
    if takes.any and policy == "per_principal":
        scope = request.app[SIGNER].scope_of(mount.server.id, caller.principal, came.workspace, declared=takes.key)
        route.session_owner = replace(caller, session_id=scope)
    body, reply = to_legacy.request(body, route.id), HttpReply(request, context)
    exchange = Exchange(request, mount, caller, session, message, body, context, reply, route)
    if message.method == "subscriptions/listen" and policy == "per_call":
        # A session of one call is not listened in: the stream is of longshore's own changes alone.
        return await subscribe.listen(exchange)
    is_ours = lists.is_ours(exchange) if message.method == "resources/read" else tools_call.is_ours(exchange)
    if takes.any and message.method in modern.INPUT_METHODS and not is_ours:
        return await modern_client.start_call(exchange, route, takes, partial(_handle_suspendable, handle))
    if policy == "per_principal" and route.session_owner is None and session.protocol:
        return await handle(exchange)        # the scope's own upstream session is open
    async with upstream_sessions.upstream_session(exchange, takes):
        return await handle(exchange)


async def _handle_suspendable(handle: Handle, exchange: Exchange, call: SuspendableCall) -> web.StreamResponse:
    """Handle the call in its upstream session, on whose standing stream its server may send requests too."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(upstream_sessions.upstream_session(exchange, call.declared))
        if exchange.session.upstream_id:
            await stack.enter_async_context(standing_stream_open(exchange, call))
        return await handle(exchange)


async def _check_mirrors(mount: Mount, request: web.Request, came: "Incoming") -> None:
    """Raise HeaderMismatch where a suspended call is resumed under headers that do not mirror its arguments."""
    if came.message.method != "tools/call":
        return
    nowhere, context = OpenSession("", "", ""), context_of(request)
    await mirrored_headers.check(Exchange(
        request, mount, came.caller, nowhere, came.message, came.body, context, HttpReply(request, context),
        ToLegacy(""),
    ))


def _check_agreed(context: RequestContext, message: Envelope, again: server_requests.Retry) -> None:
    """Raise InputMissing where the user did not agree to open a page without which the server takes no request."""
    if url_required.is_declined(again.responses):
        context.in_tool_call = message.method == "tools/call"
        raise InputMissing("the user did not agree to open the page that the server needs opened before this request")


async def _discover(mount: Mount, request: web.Request, message: Envelope) -> web.StreamResponse:
    """Answer `server/discover` with what a legacy upstream says at `initialize`."""
    initialized = await renewal.initialize_once(request, mount, _INIT_PARAMS)
    found = jsonrpc.result(message.id, result_fields.discover_result(
        initialized, has_subscriptions=mount.server.sessionless_clients == "per_principal"
    ))
    more = transfer_policy.capability(request, mount)
    body = capabilities.with_ours(found, mount.adapters, capabilities.flags_of(found), more)
    return web.Response(body=body, content_type="application/json")


async def _open(request: web.Request, caller: Caller, message: Envelope) -> OpenSession:
    """Open the record of the caller's scope, which is created where there is none."""
    lease, may_change = lease_id(context_of(request), message), may_change_lists(message)
    return await open_session(request, caller, lease=lease, may_change_lists=may_change, begin=_BEGIN)


def _caller_of(request: web.Request, mount: Mount, workspace: str) -> Caller:
    principal = principal_of(request).name
    scope = request.app[SIGNER].scope_of(mount.server.id, principal, workspace)
    context_of(request).session_id = scope
    return Caller(scope, mount.server.id, principal)


def _workspace_of(request: web.Request, opened: modern.ModernRequest) -> str:
    """Read the workspace that the caller names, in its header or in the message. Raises InvalidParams, BadRequest."""
    named = request.headers.get(WORKSPACE_HEADER, "")
    if named and opened.workspace and named != opened.workspace:
        raise BadRequest(f"the header {WORKSPACE_HEADER} and {modern.WORKSPACE_KEY} name two workspaces")
    workspace = named or opened.workspace
    if workspace and not _WORKSPACE.fullmatch(workspace):
        raise InvalidParams("a workspace is named with up to 128 letters, digits, dots, dashes and underscores")
    return workspace


def _fetches_files(request: web.Request, body: bytes) -> bool:
    return request.app[CONFIG].files.sep_2631 and sep_2631.client_fetches(modern.declared_capabilities(body))


def _mirrors(request: web.Request, opened: modern.ModernRequest) -> dict[str, str]:
    """Copy the headers that mirror the body."""
    params = {key: value for key, value in request.headers.items() if key.lower().startswith(_PARAM)}
    return opened.mirrored_headers | params


_PARAM = param_headers.PREFIX.lower()


def _check_accept(accept: str) -> None:
    if "*/*" not in accept and not ("application/json" in accept and "text/event-stream" in accept):
        raise NotAcceptable("send Accept: application/json, text/event-stream")
