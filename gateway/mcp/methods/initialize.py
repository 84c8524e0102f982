"""`initialize`: the upstream answers it; the gateway mints the client's session id and stores both sides."""

from aiohttp import web
from msgspec.structs import replace

from longshore.gateway.appkeys import SESSIONS, SIGNER, TASKS
from longshore.gateway.files import sep_2631
from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.call_files import transfer_policy
from longshore.gateway.mcp.exchange import PLAIN, Exchange, upstream_headers
from longshore.gateway.mcp.forwarding.forward import relay
from longshore.gateway.mcp.replies.reply import HttpReply
from longshore.gateway.metrics import METRICS
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import SESSION_HEADER, context_of, principal_of
from longshore.gateway.upstream import health_probe
from longshore.gateway.upstream.discover import discover
from longshore.gateway.upstream.era_cache import ERA_CACHE
from longshore.gateway.upstream.headers import own_request_headers
from longshore.gateway.wire import jsonrpc, to_modern
from longshore.gateway.wire.envelope import Envelope
from longshore.shared import ids
from longshore.shared.errors import LongshoreError, UpstreamDown
from longshore.shared.state.sessions import Caller, OpenSession, SessionStart


async def initialize(mount: Mount, request: web.Request, message: Envelope, body: bytes) -> web.StreamResponse:
    """Open an upstream session with the client's own parameters. A refusal passes through, without a session.

    The session is stored before the client sees the response, so that any replica knows it from then on.
    The id goes out in the head, which an SSE answer sends first: it is minted ahead, and worth nothing until
    the response has come.
    """
    context = context_of(request)
    context.executing = True
    session_id = ids.new_session_id()
    caller = Caller(session_id, mount.server.id, principal_of(request).name)
    session, reply = OpenSession("", "", ""), HttpReply(request, context)
    exchange = Exchange(request, mount, caller, session, message, body, context, reply, PLAIN)
    if mount.monitor.is_modern_only:
        try:
            return await _from_discovery(exchange)
        except UpstreamDown:
            mount.monitor.needs_probe.set()        # it may have been replaced by a server with sessions
            raise
    headers = upstream_headers(request, mount, "")
    async with mount.client.exchange("POST", headers, body, timeout_s=exchange.timeout_s) as answer:
        if answer.status in _REFUSALS and await _is_modern(request, mount, headers):
            if mount.monitor.readiness != "ready":
                mount.monitor.is_modern_only = True
                return await _from_discovery(exchange)
            mount.monitor.needs_probe.set()        # it took one before: the probe shall say, not this client's
        head = {SESSION_HEADER: session_id} if answer.status == 200 else {}

        async def settle(response: bytes) -> bytes:
            found = capabilities.negotiated(response)
            if found is None:
                head.pop(SESSION_HEADER)   # a refusal opens no session; a JSON answer's head can still say so
                return response
            return await _settle(exchange, answer.session_id, response, found)

        try:
            return await relay(exchange, answer, change=settle, headers=head)
        finally:
            reply.close()


# HTTP statuses with which modern servers refuse `initialize`.
_REFUSALS = frozenset({400, 404})


async def _is_modern(request: web.Request, mount: Mount, headers: dict[str, str]) -> bool:
    """True where a server that refused `initialize` is modern: the probe may not have seen it yet."""
    try:
        return await request.app[ERA_CACHE].get(mount.monitor, mount.client, headers) == "modern"
    except LongshoreError:
        return False                             # then the refusal is the answer


async def _from_discovery(exchange: Exchange) -> web.StreamResponse:
    """Open a session over a modern upstream, from its answer to `server/discover`."""
    mount, params = exchange.mount, _params_of(exchange.body)
    headers = own_request_headers(upstream_headers(exchange.request, mount, ""))
    response = await discover(mount.client, headers, timeout_s=exchange.timeout_s)
    said = jsonrpc.result(exchange.envelope.id, to_modern.initialize_result(response, to_modern.agreed_version(params)))
    found = capabilities.negotiated(said)
    if found is None:
        raise UpstreamDown("the upstream server's answer to server/discover is malformed")
    body = await _settle(exchange, "", said, replace(found, flags=found.flags + capabilities.MODERN))
    head = {SESSION_HEADER: exchange.caller.session_id}
    return await exchange.reply.finish(body, headers=head)


def _params_of(body: bytes) -> bytes:
    return bytes(jsonrpc.open_object(body).get("params", b"{}"))


def _capabilities_of(params: bytes) -> bytes:
    return bytes(jsonrpc.open_object(params).get("capabilities", b"{}"))


async def _settle(
    exchange: Exchange, upstream_id: str, response: bytes, found: capabilities.Negotiated
) -> bytes:
    app, mount, caller = exchange.request.app, exchange.mount, exchange.caller
    params, flags = _params_of(exchange.body), found.flags + (capabilities.SESSIONS if upstream_id else "")
    if exchange.config.files.sep_2631 and sep_2631.client_fetches(_capabilities_of(params)):
        flags += capabilities.FILES
    await app[SESSIONS].create(
        SessionStart(
            session_id=caller.session_id, server=caller.server, principal=caller.principal,
            upstream_id=upstream_id, protocol=found.protocol, init_params=params,
            callers_scope=app[SIGNER].scope_of(caller.server, caller.principal),
            flags=flags,
        )
    )
    app[METRICS].session_event(server=caller.server, event="created")
    if principal_of(exchange.request).authenticated:
        app[METRICS].session_event(server=caller.server, event="auth_context_bound")
    if mount.monitor.readiness == "waits_for_caller":
        headers = upstream_headers(exchange.request, mount, "")
        app[TASKS].spawn(health_probe.probe(mount.monitor, mount.client, headers), name="probe_with_caller")
    more = transfer_policy.capability(exchange.request, mount)
    return capabilities.with_ours(response, mount.adapters, found.flags, more)
