"""`tools/call`: plain calls pass through; handles become paths, and what a tool wrote becomes an artifact."""

from typing import Any

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import BLOBS, FILES, SIGNER
from longshore.gateway.files import arguments, sep_2631, stored
from longshore.gateway.files.adapters import ToolAdapters
from longshore.gateway.mcp.call_files import (
    attach_outputs,
    inline_files,
    reserved_output,
    retry_state,
    signed_urls,
    spill_over,
)
from longshore.gateway.mcp.call_files.reserved_output import Pending
from longshore.gateway.mcp.exchange import Exchange, lease_id
from longshore.gateway.mcp.forwarding import mirrored_headers
from longshore.gateway.mcp.input_requests.retry_loop import answered
from longshore.gateway.mcp.methods import await_upload
from longshore.gateway.mcp.replies.own_results import own_result
from longshore.gateway.mcp.sessions.leases import LEASES
from longshore.gateway.metrics import METRICS, Result
from longshore.gateway.tools import own
from longshore.gateway.wire import jsonrpc
from longshore.shared.clock import monotonic_s
from longshore.shared.config import Config
from longshore.shared.errors import InvalidParams, NotFound, ToolInputError
from longshore.shared.records import ArtifactRecord, FileRecord

_PLAIN = ToolAdapters()


async def call(exchange: Exchange) -> web.StreamResponse:
    """One tool call, counted and timed."""
    exchange.context.in_tool_call = True
    adapters, name = exchange.mount.adapters, exchange.envelope.name
    if adapters.accepts_uploads and name == own.upload_tool_name(exchange.mount.server):
        return await _upload_link(exchange)
    if adapters.accepts_uploads and name == own.await_tool_name(exchange.mount.server):
        return await await_upload.await_upload(exchange)
    if exchange.stateless is not None:
        await mirrored_headers.check(exchange)
    tool = adapters.by_tool.get(name, _PLAIN)
    started_s = monotonic_s()
    outcome: Result = "error"
    try:
        response = await (_adapted(exchange, tool) if tool is not _PLAIN else _send(exchange, tool, None))
        outcome = "success" if response.status == 200 and not exchange.context.reason else "error"
        return response
    finally:
        exchange.context.tool = _label(exchange)
        exchange.request.app[METRICS].tool_call(
            server=exchange.caller.server, tool=exchange.context.tool, result=outcome,
            duration_s=monotonic_s() - started_s,
        )


def is_ours(exchange: Exchange) -> bool:
    """Whether the call is of a tool of ours."""
    server = exchange.mount.server
    names = (own.upload_tool_name(server), own.await_tool_name(server))
    return exchange.mount.adapters.accepts_uploads and exchange.envelope.name in names


def _label(exchange: Exchange) -> str:
    """The tool's name where the upstream lists it: a client cannot make up label values."""
    name = exchange.envelope.name
    return name if name in exchange.mount.monitor.tools else "other"


async def _upload_link(exchange: Exchange) -> web.StreamResponse:
    request, config = exchange.request, exchange.config
    issued = signed_urls.upload_link(request, exchange.caller, ttl_s=config.core.auth.signed_upload_ttl_seconds)
    ticket = own.upload_ticket(config, exchange.mount.server, issued, request.app[SIGNER])
    request.app[METRICS].credential(server=exchange.caller.server, operation="issue", result="success")
    text = msgspec.json.encode(ticket).decode()
    return own_result(exchange, {"content": [{"type": "text", "text": text}], "structuredContent": ticket})


async def _adapted(exchange: Exchange, tool: ToolAdapters) -> web.StreamResponse:
    """The call with its arguments rewritten, and its file captured when the answer comes."""
    message = jsonrpc.open_object(exchange.body)
    params = jsonrpc.open_object(message["params"])
    given = _arguments_of(params)
    goes_on = await retry_state.opened(exchange, params)
    await inline_files.store(exchange, given, tool.consumers, goes_on)
    root = reserved_output.storage_root(exchange)
    slots = [
        slot
        for adapter in tool.consumers
        for slot in arguments.find(
            given, adapter, scope=exchange.caller.session_id,
            schemes=(adapter.uri_scheme, *_schemes(exchange.config)),
        )
    ]
    ids = [slot.handle.file_id for slot in slots]
    try:
        records = await _used(exchange, ids)
    except NotFound as err:
        raise ToolInputError(
            "a file handle of this call is unknown or has expired; upload the file again and use its new handle"
        ) from err
    for slot, record in zip(slots, records, strict=True):
        slot.fill(arguments.path_of(record, root))
    pending = None
    if tool.producer is not None:
        pending = await reserved_output.begin(exchange, tool.producer, given, goes_on)
    params["arguments"] = jsonrpc.raw(given)
    message["params"] = jsonrpc.raw(params)
    body = jsonrpc.close_object(message)
    mirrored_headers.rebuild(exchange, body)
    return await _send(exchange, tool, pending, body=body, goes_on=goes_on)


def _schemes(config: Config) -> tuple[str, ...]:
    """What URIs of our files begin with, whatever an adapter says."""
    schemes = (config.uploads.uri_scheme, config.artifacts.uri_scheme)
    return (*schemes, sep_2631.SCHEME) if config.files.sep_2631 else schemes


async def _used(exchange: Exchange, ids: list[str]) -> list[FileRecord]:
    """The records of files that this call uses from now on. Raises NotFound for one that is gone."""
    app, lease = exchange.request.app, lease_id(exchange.context, exchange.envelope)
    records = await app[LEASES].use(exchange.caller.session_id, lease, ids)
    for record in records:
        await stored.check_exists(app[BLOBS], app[FILES], record)
    return records


def _arguments_of(params: jsonrpc.RawMap) -> dict[str, Any]:
    raw = params.get("arguments", msgspec.Raw(b"{}"))
    try:
        return _arguments.decode(raw) or {}
    except msgspec.DecodeError:
        raise InvalidParams("the arguments of a tool call must be an object") from None


_arguments: msgspec.json.Decoder[dict[str, Any] | None] = msgspec.json.Decoder(dict[str, Any] | None)


async def _send(
    exchange: Exchange, tool: ToolAdapters, pending: Pending | None, *, body: bytes | None = None,
    goes_on: retry_state.RetryState | None = None,
) -> web.StreamResponse:
    """Send the call, within the time that is configured for the tool."""
    adapter = tool.producer or (tool.consumers[0] if tool.consumers else None)
    timeout_s = exchange.config.tool_timeout_s(exchange.mount.server, adapter)

    spills_over = exchange.config.spill_over_bytes(exchange.mount.server)

    async def capturing(response: bytes) -> bytes:
        changed, captured = response, list[ArtifactRecord]()
        if pending is not None:
            changed, captured = await attach_outputs.finish(exchange, pending, response)
        if goes_on is not None:
            changed = retry_state.kept(exchange, goes_on, changed)
        if spills_over is None or len(response) <= spills_over:
            return changed
        return await spill_over.spilled(exchange, changed, spills_over, captured=captured)

    try:
        change = capturing if pending or spills_over or (goes_on is not None and goes_on.is_needed) else None
        return await answered(exchange, body or exchange.body, within_s=timeout_s, change=change)
    finally:
        if pending is not None and not (goes_on is not None and goes_on.is_kept):
            reserved_output.abandon(exchange, pending)
