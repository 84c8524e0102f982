"""Attachment of the files that a call wrote to its result."""

import os
from collections.abc import Sequence

from longshore.gateway.appkeys import BLOBS, FILES
from longshore.gateway.files import handles, results, sep_2631, stored
from longshore.gateway.files.candidates import ToolResult
from longshore.gateway.mcp.call_files import signed_urls, transfer_policy
from longshore.gateway.mcp.call_files.find_outputs import find_outputs
from longshore.gateway.mcp.call_files.reserved_output import ReservedOutput
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.protocol_errors import ArtifactMissing
from longshore.shared.records import ArtifactRecord

_MAX_RAW_BYTES = 16 * 1024 * 1024   # of one result
_COMPLETE = b'"complete"'


async def attach_outputs(
    exchange: Exchange, output: ReservedOutput, response: bytes
) -> tuple[bytes, list[ArtifactRecord]]:
    """Add the artifacts that the call wrote to its response; return both.

    Where the tool failed, and where nothing was found with `mode: none`, the response stays as it is. Raises
    ArtifactMissing where nothing was found in another mode.
    """
    message = jsonrpc.open_object(response)
    if "result" not in message or not output.producer.persist:
        return response, []
    result = jsonrpc.open_object(message["result"])
    if bytes(result.get("resultType", _COMPLETE)) != _COMPLETE:
        return response, []      # the tool has not finished: it requires input
    tool_result = ToolResult.decode(bytes(message["result"]))
    if tool_result.is_error:
        return response, []
    found = await find_outputs(exchange, output, tool_result)
    if not found.records:
        if output.producer.output_locator.mode == "none":
            return response, []
        why = "; ".join(found.refusals) or "its answer names none"
        raise ArtifactMissing(f"the tool ran, but no file of its could be captured: {why}")
    output.is_captured = True
    results.attach_artifacts(result, await _present_all(exchange, output, found.records), found.refusals)
    message["result"] = jsonrpc.raw(result)
    return jsonrpc.close_object(message), found.records


async def _present_all(
    exchange: Exchange, output: ReservedOutput, records: Sequence[ArtifactRecord]
) -> list[tuple[ArtifactRecord, results.Presentation]]:
    left_bytes = _MAX_RAW_BYTES if exchange.config.allow_raw_output(exchange.mount.server, output.producer) else -1
    presented = []
    for record in records:
        raw: bytes | None = None
        if record.size_bytes <= left_bytes:
            raw = await _content(exchange, record)
            left_bytes -= record.size_bytes
        presented.append((record, present(exchange, record, raw)))
    return presented


async def _content(exchange: Exchange, record: ArtifactRecord) -> bytes:
    app = exchange.request.app
    fd = await stored.open_file(app[BLOBS], app[FILES], record)
    return await app[BLOBS].run(_read_all, fd)


def _read_all(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        return file.read()


def present(exchange: Exchange, record: ArtifactRecord, raw: bytes | None = None) -> results.Presentation:
    """Choose the forms in which this caller gets the artifact."""
    config = exchange.config
    is_fetched = exchange.fetches_files and transfer_policy.offers_downloads(exchange.request, exchange.mount)
    return results.Presentation(
        uri=handles.artifact_uri(config.artifacts.uri_scheme, record),
        download_url=(
            signed_urls.download_url(exchange.request, record).text if config.core.allow_artifacts_download else None
        ),
        is_resource=exchange.mount.adapters.exposes_artifacts and record.expose,
        has_links=exchange.route.has_links(exchange),
        raw=raw, file=sep_2631.file_block(record) if is_fetched else None,
    )
