"""Upstream session for a call of a modern client to a legacy upstream: the scope's, or one for this call alone.

Clients that take input requests share another session, one for each set of declared capabilities: a server learns
these when the session starts, and must never believe that a client takes more than it does.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec

from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.exchange import Begin, Exchange, has_lost_upstream, open_session
from longshore.gateway.mcp.sessions import renewal
from longshore.gateway.mcp.sessions.leases import LEASES
from longshore.gateway.upstream import rpc
from longshore.gateway.wire.server_requests import InputCapabilities
from longshore.shared import ids
from longshore.shared.state.renewal import OpenNew
from longshore.shared.version import OWN_INFO


def init_params(declared: InputCapabilities) -> bytes:
    """Build the `initialize` params of such a session."""
    return msgspec.json.encode({
        "protocolVersion": "2025-11-25", "capabilities": declared.encode(), "clientInfo": OWN_INFO,
    })


@asynccontextmanager
async def upstream_session(exchange: Exchange, declared: InputCapabilities) -> AsyncIterator[None]:
    """Run the exchange in the upstream session that the configuration wants for it."""
    if exchange.mount.server.sessionless_clients == "per_call":
        async with _own_session(exchange, declared):
            yield
    elif exchange.route.session_owner is not None:
        async with _shared_session(exchange, declared):
            yield
    else:
        if not exchange.session.protocol:    # never used so far: its upstream's capabilities are learned now
            await renewal.renew(exchange.request, exchange.mount, exchange.caller, lost="")
            exchange.session = await open_session(exchange.request, exchange.caller)
        yield


@asynccontextmanager
async def _shared_session(exchange: Exchange, declared: InputCapabilities) -> AsyncIterator[None]:
    """Use the upstream session of `session_owner`, whose record the call holds with a lease too."""
    request, owner = exchange.request, exchange.session_owner
    lease = "" if exchange.envelope.method == "subscriptions/listen" else ids.new_id()     # which holds a stream
    begin = Begin(capabilities.UNKNOWN, init_params(declared))
    leases = request.app[LEASES]
    shared = await open_session(request, owner, lease=lease, begin=begin)
    leases.acquire(owner.session_id, lease)
    try:
        if has_lost_upstream(shared):
            shared = await renewal.reopen_upstream(request, exchange.mount, owner, shared)
        exchange.session = replace(
            exchange.session, upstream_id=shared.upstream_id, protocol=shared.protocol, flags=shared.flags,
            lists=f"{exchange.session.lists}.{declared.key}",
        )
        yield
    finally:
        leases.release(owner.session_id, lease)


@asynccontextmanager
async def _own_session(exchange: Exchange, declared: InputCapabilities) -> AsyncIterator[None]:
    """Open an upstream session for this call, and end it after the call."""
    new = await renewal.open_upstream(exchange.request, exchange.mount, OpenNew(init_params(declared), ""))
    exchange.session = replace(
        exchange.session, upstream_id=new.upstream_id, protocol=new.protocol,
        flags=new.flags.replace(capabilities.SESSIONS, ""),
    )
    try:
        yield
    finally:
        if new.upstream_id:
            end = rpc.end_session(exchange.mount.client, exchange.upstream_headers())
            exchange.spawn(end, name="end_upstream_session")
