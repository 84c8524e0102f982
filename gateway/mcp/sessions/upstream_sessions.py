"""Which upstream session a call of a caller without session runs in.

One kept with its scope, or one of its own. Clients that take requests of the server's have one beside it, for all that
take the same: a server learns what its client takes when the session begins, and never that it takes more than it
does.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec
from aiohttp import web

from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.exchange import Begin, Exchange, open_session
from longshore.gateway.mcp.sessions import renewal
from longshore.gateway.mcp.sessions.leases import LEASES
from longshore.gateway.upstream import rpc
from longshore.gateway.wire.inputs import InputCapabilities
from longshore.shared import ids
from longshore.shared.state.renewal import OpenNew

Handle = Callable[[Exchange], Awaitable[web.StreamResponse]]


def init_params(takes: InputCapabilities) -> bytes:
    """What longshore begins such a session with."""
    return msgspec.json.encode({
        "protocolVersion": "2025-11-25", "capabilities": takes.encode(),
        "clientInfo": {"name": "longshore", "version": "1"},
    })


async def within(exchange: Exchange, takes: InputCapabilities, handle: Handle) -> web.StreamResponse:
    """The call by `handle`, in the session that the configuration wants for it."""
    if exchange.mount.server.sessionless_clients == "per_call":
        return await _its_own(exchange, takes, handle)
    assert exchange.stateless is not None
    if exchange.stateless.holder is not None:
        return await _held_beside(exchange, takes, handle)
    if not exchange.session.protocol:    # never used so far: what its upstream can do shows when it is opened
        await renewal.renew(exchange.request, exchange.mount, exchange.caller, lost="")
        exchange.session = await open_session(exchange.request, exchange.caller)
    return await handle(exchange)


async def _held_beside(exchange: Exchange, takes: InputCapabilities, handle: Handle) -> web.StreamResponse:
    """In the upstream session that a record beside the scope's has, which the call holds too."""
    request, holder = exchange.request, exchange.holder
    lease = "" if exchange.envelope.method == "subscriptions/listen" else ids.new_id()     # which holds a stream
    begin = Begin(capabilities.UNKNOWN, init_params(takes))
    leases = request.app[LEASES]
    held = await open_session(request, holder, lease=lease, begin=begin)
    leases.acquire(holder.session_id, lease)
    try:
        held = await renewal.with_upstream(request, exchange.mount, holder, held)
        exchange.session = replace(
            exchange.session, upstream_id=held.upstream_id, protocol=held.protocol, flags=held.flags,
            lists=f"{exchange.session.lists}.{takes.key}",
        )
        return await handle(exchange)
    finally:
        leases.release(holder.session_id, lease)


async def _its_own(exchange: Exchange, takes: InputCapabilities, handle: Handle) -> web.StreamResponse:
    """In an upstream session of its own, which is ended after it."""
    new = await renewal.opened(exchange.request, exchange.mount, OpenNew(init_params(takes), ""))
    exchange.session = replace(
        exchange.session, upstream_id=new.upstream_id, protocol=new.protocol,
        flags=new.flags.replace(capabilities.SESSIONS, ""),
    )
    try:
        return await handle(exchange)
    finally:
        if new.upstream_id:
            end = rpc.end_session(exchange.mount.client, exchange.upstream_headers())
            exchange.spawn(end, name="end_upstream_session")
