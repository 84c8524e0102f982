"""Which upstream session a call of a caller without session runs in.

One kept with its scope, or one of its own. Clients that take requests of the server's have one beside it, for all that
take the same: a server learns what its client takes when the session begins, and never that it takes more than it
does.
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


def init_params(takes: InputCapabilities) -> bytes:
    """What longshore begins such a session with."""
    return msgspec.json.encode({
        "protocolVersion": "2025-11-25", "capabilities": takes.encode(), "clientInfo": OWN_INFO,
    })


@asynccontextmanager
async def upstream_session(exchange: Exchange, takes: InputCapabilities) -> AsyncIterator[None]:
    """Let the exchange run in the upstream session that the configuration wants for it."""
    if exchange.mount.server.sessionless_clients == "per_call":
        async with _own_session(exchange, takes):
            yield
    elif exchange.route.session_owner is not None:
        async with _shared_session(exchange, takes):
            yield
    else:
        if not exchange.session.protocol:    # never used so far: what its upstream can do shows when it is opened
            await renewal.renew(exchange.request, exchange.mount, exchange.caller, lost="")
            exchange.session = await open_session(exchange.request, exchange.caller)
        yield


@asynccontextmanager
async def _shared_session(exchange: Exchange, takes: InputCapabilities) -> AsyncIterator[None]:
    """In the upstream session that a record beside the scope's has, which the call holds too."""
    request, owner = exchange.request, exchange.session_owner
    lease = "" if exchange.envelope.method == "subscriptions/listen" else ids.new_id()     # which holds a stream
    begin = Begin(capabilities.UNKNOWN, init_params(takes))
    leases = request.app[LEASES]
    held = await open_session(request, owner, lease=lease, begin=begin)
    leases.acquire(owner.session_id, lease)
    try:
        if has_lost_upstream(held):
            held = await renewal.reopen_upstream(request, exchange.mount, owner, held)
        exchange.session = replace(
            exchange.session, upstream_id=held.upstream_id, protocol=held.protocol, flags=held.flags,
            lists=f"{exchange.session.lists}.{takes.key}",
        )
        yield
    finally:
        leases.release(owner.session_id, lease)


@asynccontextmanager
async def _own_session(exchange: Exchange, takes: InputCapabilities) -> AsyncIterator[None]:
    """In an upstream session of its own, which is ended after it."""
    new = await renewal.opened(exchange.request, exchange.mount, OpenNew(init_params(takes), ""))
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
