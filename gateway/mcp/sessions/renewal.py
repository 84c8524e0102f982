"""Renewal of a lost upstream session with the client's own `initialize` parameters, by one gateway at a time."""

import asyncio
from dataclasses import replace

import msgspec
import structlog
from aiohttp import web

from longshore.gateway.appkeys import RENEWALS, TASKS
from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.exchange import open_session, upstream_headers
from longshore.gateway.mounts import Mount
from longshore.gateway.upstream import rpc
from longshore.gateway.upstream.discover import discover
from longshore.gateway.upstream.headers import own_request_headers
from longshore.gateway.upstream.rpc import Rejected, notify, request_raw
from longshore.gateway.wire import jsonrpc, to_modern
from longshore.shared import ids
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError, UpstreamDown, UpstreamTimeout
from longshore.shared.state.renewal import NewUpstreamSession, OpenNew, UseExisting
from longshore.shared.state.sessions import Caller, OpenSession

log = structlog.get_logger(__name__)

_TIMEOUT_S = 15.0            # for one handshake; after it another gateway may try
_POLL_EVERY_S = 0.05


async def reopen_upstream(request: web.Request, mount: Mount, caller: Caller, session: OpenSession) -> OpenSession:
    """Return `session` with a new upstream session in place of the lost one. Raises as `renew`, or `open_session`."""
    upstream_id = await renew(request, mount, caller, lost="")
    if capabilities.UNKNOWN in session.flags:    # the upstream's capabilities are known now
        session = await open_session(request, caller)
    return replace(session, upstream_id=upstream_id)


async def renew(request: web.Request, mount: Mount, caller: Caller, *, lost: str) -> str:
    """Return the id of a new upstream session in place of `lost`, opened here or by another gateway.

    Raises SessionGone, UpstreamDown when there is none in time.
    """
    store, token = request.app[RENEWALS], ids.new_id()
    deadline_s = monotonic_s() + 2 * _TIMEOUT_S
    while monotonic_s() < deadline_s:
        instruction = await store.acquire(caller.session_id, lost=lost, token=token, lock_ttl_ms=int(_TIMEOUT_S * 1000))
        if isinstance(instruction, OpenNew):
            try:
                new = await open_upstream(request, mount, instruction)
            except (LongshoreError, TimeoutError, asyncio.CancelledError):
                await store.release(caller.session_id, token)
                raise
            instruction = await store.replace(caller.session_id, lost=lost, token=token, new=new)
            log.info("upstream_session_renewed", server=caller.server)
        if isinstance(instruction, UseExisting):
            return instruction.upstream_id
        await asyncio.sleep(_POLL_EVERY_S)
    raise UpstreamDown("the upstream server's session was lost, and no new one could be opened in time")


async def open_upstream(request: web.Request, mount: Mount, instruction: OpenNew) -> NewUpstreamSession:
    """Open an upstream session with the stored parameters; those of a restored session are longshore's own."""
    headers = _headers(request, mount)
    is_restored = not instruction.protocol
    if is_restored and mount.monitor.is_modern_only:
        return await _modern_session(mount, headers, instruction.init_params)
    async with asyncio.timeout(_TIMEOUT_S):
        response, new = await request_raw(mount.client, headers, "initialize", msgspec.Raw(instruction.init_params))
        found = capabilities.negotiated(response)
        if found is None or not (new or is_restored):
            raise Rejected("the upstream server lost its session and refuses to open a new one")
        mount.monitor.server_info = found.server_info
        headers |= {"MCP-Protocol-Version": found.protocol} | ({"Mcp-Session-Id": new} if new else {})
        await notify(mount.client, headers, "notifications/initialized")
    flags = found.flags + (capabilities.SESSIONS if new else "") or capabilities.TOOLS
    return NewUpstreamSession(new, found.protocol, flags if is_restored else "")


async def _modern_session(mount: Mount, headers: dict[str, str], init_params: bytes) -> NewUpstreamSession:
    """Build the session over a modern-only upstream, which keeps none."""
    result = await discover(mount.client, headers, timeout_s=_TIMEOUT_S)
    version = to_modern.agreed_version(init_params)
    found = capabilities.flags_of(jsonrpc.result("", to_modern.initialize_result(result, version)))
    return NewUpstreamSession("", version, found + capabilities.MODERN)


async def initialize_once(request: web.Request, mount: Mount, init_params: bytes) -> jsonrpc.RawMap:
    """Send `initialize`, end its session at once, and return the result. Raises UpstreamDown."""
    headers = _headers(request, mount)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            response, new = await request_raw(mount.client, headers, "initialize", msgspec.Raw(init_params))
    except TimeoutError:
        raise UpstreamTimeout(f"the upstream server did not answer initialize within {_TIMEOUT_S:g} s") from None
    found = capabilities.negotiated(response)
    if new and found is not None:
        session_headers = {**headers, "MCP-Protocol-Version": found.protocol, "Mcp-Session-Id": new}
        request.app[TASKS].spawn(rpc.end_session(mount.client, session_headers), name="end_upstream_session")
    message = jsonrpc.open_object(response)
    if found is None or "result" not in message:
        raise Rejected("the upstream server refused initialize")
    mount.monitor.server_info = found.server_info
    return jsonrpc.open_object(message["result"])


def _headers(request: web.Request, mount: Mount) -> dict[str, str]:
    return own_request_headers(upstream_headers(request, mount, ""))
