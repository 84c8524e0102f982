"""`tools/call`: longshore's own tools are answered here, all others are forwarded; adapters care for their files."""

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import SIGNER
from longshore.gateway.files.adapters import ToolAdapters
from longshore.gateway.mcp.call_files import signed_urls
from longshore.gateway.mcp.call_files.call_files import CallFiles
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.forward import forward
from longshore.gateway.mcp.methods import await_upload
from longshore.gateway.metrics import METRICS, Result
from longshore.gateway.tools import own
from longshore.shared.clock import monotonic_s

_PLAIN = ToolAdapters()


async def call(exchange: Exchange) -> web.StreamResponse:
    """Handle one tool call, counted and timed."""
    exchange.context.in_tool_call = True
    adapters, name = exchange.mount.adapters, exchange.envelope.name
    if adapters.accepts_uploads and name == own.upload_tool_name(exchange.mount.server):
        return await _upload_link(exchange)
    if adapters.accepts_uploads and name == own.await_tool_name(exchange.mount.server):
        return await await_upload.await_upload(exchange)
    await exchange.route.check_headers(exchange)
    started_s = monotonic_s()
    outcome: Result = "error"
    try:
        response = await _forward(exchange, adapters.by_tool.get(name, _PLAIN))
        outcome = "success" if response.status == 200 and not exchange.context.reason else "error"
        return response
    finally:
        exchange.context.tool = _label(exchange)
        exchange.request.app[METRICS].tool_call(
            server=exchange.caller.server, tool=exchange.context.tool, result=outcome,
            duration_s=monotonic_s() - started_s,
        )


async def _forward(exchange: Exchange, tool: ToolAdapters) -> web.StreamResponse:
    """Forward the call, within the time that is configured for the tool."""
    adapter = tool.producer or (tool.consumers[0] if tool.consumers else None)
    timeout_s = exchange.config.tool_timeout_s(exchange.mount.server, adapter)
    if tool is _PLAIN and exchange.config.spill_over_bytes(exchange.mount.server) is None:
        return await forward(exchange, exchange.body, timeout_s=timeout_s)
    files = CallFiles(exchange, tool)
    try:
        body = await files.prepare()
        change = files.finish if files.changes_response else None
        return await forward(exchange, body, timeout_s=timeout_s, change=change)
    finally:
        files.close()


def is_ours(exchange: Exchange) -> bool:
    """True for a call of one of longshore's own tools."""
    server = exchange.mount.server
    names = (own.upload_tool_name(server), own.await_tool_name(server))
    return exchange.mount.adapters.accepts_uploads and exchange.envelope.name in names


def _label(exchange: Exchange) -> str:
    """Return the tool's name where the upstream lists it, else `other`: a client cannot make up label values."""
    name = exchange.envelope.name
    return name if name in exchange.mount.monitor.tools else "other"


async def _upload_link(exchange: Exchange) -> web.StreamResponse:
    request, config = exchange.request, exchange.config
    issued = signed_urls.upload_link(request, exchange.caller, ttl_s=config.core.auth.signed_upload_ttl_seconds)
    ticket = own.upload_ticket(config, exchange.mount.server, issued, request.app[SIGNER])
    request.app[METRICS].credential(server=exchange.caller.server, operation="issue", result="success")
    text = msgspec.json.encode(ticket).decode()
    return await exchange.answer({"content": [{"type": "text", "text": text}], "structuredContent": ticket})
