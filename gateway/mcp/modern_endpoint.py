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
    Route,
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
from longshore.gateway.wire.server_requests import InputCapabilities
from longshore.shared.errors import BadRequest, NotAcceptable
from longshore.shared.state.sessions import Caller, OpenSession

WORKSPACE_HEADER = "X-Longshore-Workspace"
_WORKSPACE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_INIT_PARAMS = upstream_sessions.init_params(server_requests.NO_INPUT)
_BEGIN = Begin(capabilities.UNKNOWN, _INIT_PARAMS)


async def post(
    mount: Mount, request: web.Request, message: Envelope, body: bytes, handle: Handle
) -> web.StreamResponse:
    """Handle a POST of a modern client: `handle` gets the message once it has a scope and a route."""
    context_of(request).is_modern = True
    parsed = modern.parse_request(message, body, request.headers)
    _check_accept(request.headers.get("Accept", ""))
    if message.kind is Kind.NOTIFICATION:    # the revision defines none: what a client says so is for nobody
        return web.Response(status=202)
    workspace = _workspace_of(request, parsed)
    caller = _caller_of(request, mount, workspace)
    context_of(request).executing = message.kind is Kind.REQUEST
    incoming = Incoming(mount, request, message, body, parsed, caller, workspace, handle)
    eras, monitor = request.app[ERA_CACHE], mount.monitor
    era = eras.known(monitor) or await eras.get(monitor, mount.client, upstream_headers(request, mount, ""))
    try:
        response = await incoming.handle_in(era)
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
    return await incoming.handle_in("legacy" if era == "modern" else "modern")


_STRANGE = frozenset({400, 404})


def _body_of(response: web.StreamResponse) -> bytes:
    body = response.body if isinstance(response, web.Response) else None
    return body if isinstance(body, bytes) else b""


def refuse_verb(request: web.Request) -> None:
    """Raise 405 for a GET or DELETE of a revision that has neither."""
    version = request.headers.get(VERSION_HEADER)
    if version is not None and modern.is_modern_version(version):
        raise web.HTTPMethodNotAllowed(request.method, ["POST"])


@dataclass(frozen=True, slots=True)
class Incoming:
    """Checked message of a modern client with its caller, handled on the route to an upstream of either era."""

    mount: Mount
    request: web.Request
    message: Envelope
    body: bytes
    parsed: modern.ModernRequest
    caller: Caller
    workspace: str
    handle: Handle

    async def handle_in(self, era: Era) -> web.StreamResponse:
        """Handle the message on the route to an upstream of this era."""
        if era == "modern":
            return await self._to_modern()
        if self.mount.server.sessionless_clients == "refuse":
            raise UnsupportedRevision("this server speaks to callers within a session; start one with initialize")
        if self.message.method in to_legacy.LEGACY_ONLY_METHODS:
            raise MethodNotFound(f"this server has no method {self.message.method} in this revision")
        if self.message.method == "server/discover":
            return await _discover(self.mount, self.request, self.message)
        return await self._to_legacy()

    async def _to_modern(self) -> web.StreamResponse:
        session = await _open(self.request, self.caller, self.message)
        session = replace(session, upstream_id="", flags=capabilities.TOOLS + capabilities.RESOURCES)
        body = modern.without_workspace(self.body) if self.parsed.workspace else self.body
        route = ModernDirect(_mirrors(self.request, self.parsed), _fetches_files(self.request, body))
        return await self.handle(self._exchange(session, body, route))

    def _exchange(self, session: OpenSession, body: bytes, route: Route) -> Exchange:
        context = context_of(self.request)
        reply = HttpReply(self.request, context)
        return Exchange(self.request, self.mount, self.caller, session, self.message, body, context, reply, route)

    async def _to_legacy(self) -> web.StreamResponse:
        """Handle the message, or resume the suspended call that it brings input for."""
        declared, body = server_requests.parse_capabilities(self.parsed.capabilities), self.body
        if self.message.method in modern.INPUT_METHODS:
            retry = server_requests.parse_retry(body)
            if retry is not None and retry.state:
                await self._check_mirrors()
                return await modern_client.resume(self.request, self.caller, self.message, retry, declared)
            if retry is not None:
                _check_agreed(context_of(self.request), self.message, retry)
                body = retry.body        # responses that no call waits for
        return await self._in_session(body, declared)

    async def _in_session(self, body: bytes, declared: InputCapabilities) -> web.StreamResponse:
        """Handle the message in a session with the upstream: that of the scope, or one for this call alone."""
        message, policy = self.message, self.mount.server.sessionless_clients
        session = await _open(self.request, self.caller, message)
        route = self._legacy_route(body, declared)
        exchange = self._exchange(session, to_legacy.request(body, route.id), route)
        if message.method == "subscriptions/listen" and policy == "per_call":
            # A session of one call is not listened in: the stream is of longshore's own changes alone.
            return await subscribe.listen(exchange)
        is_ours = lists.is_ours(exchange) if message.method == "resources/read" else tools_call.is_ours(exchange)
        if declared.any and message.method in modern.INPUT_METHODS and not is_ours:
            return await modern_client.start_call(exchange, route, declared, partial(_handle_suspendable, self.handle))
        if policy == "per_principal" and route.session_owner is None and session.protocol:
            return await self.handle(exchange)       # the scope's own upstream session is open
        async with upstream_sessions.upstream_session(exchange, declared):
            return await self.handle(exchange)

    def _legacy_route(self, body: bytes, declared: InputCapabilities) -> ToLegacy:
        """Build the route. Clients that take requests share an upstream session with those that take the same."""
        request, server = self.request, self.mount.server
        route = ToLegacy(
            f"longshore-{context_of(request).request_id}", to_legacy.log_level(body), _fetches_files(request, body),
            declared.url,
        )
        if declared.any and server.sessionless_clients == "per_principal":
            scope = request.app[SIGNER].scope_of(
                server.id, self.caller.principal, self.workspace, declared=declared.key
            )
            route.session_owner = replace(self.caller, session_id=scope)
        return route

    async def _check_mirrors(self) -> None:
        """Raise HeaderMismatch where a suspended call is resumed under headers that do not mirror its arguments."""
        if self.message.method == "tools/call":
            await mirrored_headers.check(self._exchange(OpenSession("", "", ""), self.body, ToLegacy("")))


async def _handle_suspendable(handle: Handle, exchange: Exchange, call: SuspendableCall) -> web.StreamResponse:
    """Handle the call in its upstream session, on whose standing stream its server may send requests too."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(upstream_sessions.upstream_session(exchange, call.declared))
        if exchange.session.upstream_id:
            await stack.enter_async_context(standing_stream_open(exchange, call))
        return await handle(exchange)


def _check_agreed(context: RequestContext, message: Envelope, retry: server_requests.Retry) -> None:
    """Raise InputMissing where the user did not agree to open a page without which the server takes no request."""
    if url_required.is_declined(retry.responses):
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
