"""The files that a call made, added to its result."""

import os
from collections.abc import Sequence

from longshore.gateway.appkeys import BLOBS, FILES
from longshore.gateway.files import handles, results, sep_2631, stored
from longshore.gateway.files.candidates import ToolResult
from longshore.gateway.mcp.call_files import signed_urls, transfer_policy
from longshore.gateway.mcp.call_files.find_outputs import search
from longshore.gateway.mcp.call_files.reserved_output import Pending
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.protocol_errors import ArtifactMissing
from longshore.shared.records import ArtifactRecord

_MOST_RAW_BYTES = 16 * 1024 * 1024   # of one result
_COMPLETE = b'"complete"'


async def finish(exchange: Exchange, pending: Pending, response: bytes) -> tuple[bytes, list[ArtifactRecord]]:
    """The response with the artifacts that the call wrote, and those. Raises ArtifactMissing when the adapter
    promised one.

    With `mode: none` and nothing found, or when the tool itself failed, the response stays as it is.
    """
    message = jsonrpc.open_object(response)
    if "result" not in message or not pending.producer.persist:
        return response, []
    result = jsonrpc.open_object(message["result"])
    if bytes(result.get("resultType", _COMPLETE)) != _COMPLETE:
        return response, []      # the tool has not run to its end: it wants to be asked again
    said = ToolResult.decode(bytes(message["result"]))
    if said.is_error:
        return response, []
    found = await search(exchange, pending, said)
    if not found.records:
        if pending.producer.output_locator.mode == "none":
            return response, []
        why = "; ".join(found.refusals) or "its answer names none"
        raise ArtifactMissing(f"the tool ran, but no file of its could be captured: {why}")
    pending.settled = True
    results.attach_artifacts(result, await _presented(exchange, pending, found.records), found.refusals)
    message["result"] = jsonrpc.raw(result)
    return jsonrpc.close_object(message), found.records


async def _presented(
    exchange: Exchange, pending: Pending, records: Sequence[ArtifactRecord]
) -> list[tuple[ArtifactRecord, results.Presentation]]:
    left = _MOST_RAW_BYTES if exchange.config.allow_raw_output(exchange.mount.server, pending.producer) else -1
    found = []
    for record in records:
        raw: bytes | None = None
        if record.size_bytes <= left:
            raw = await _content(exchange, record)
            left -= record.size_bytes
        found.append((record, shown(exchange, record, raw)))
    return found


async def _content(exchange: Exchange, record: ArtifactRecord) -> bytes:
    app = exchange.request.app
    fd = await stored.open_file(app[BLOBS], app[FILES], record)
    return await app[BLOBS].run(_read_all, fd)


def _read_all(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        return file.read()


def shown(exchange: Exchange, record: ArtifactRecord, raw: bytes | None = None) -> results.Presentation:
    """How this caller is shown the artifact."""
    config = exchange.config
    is_fetched = exchange.fetches_files and transfer_policy.offers_downloads(exchange.request, exchange.mount)
    return results.Presentation(
        uri=handles.artifact_uri(config.artifacts.uri_scheme, record),
        download_url=(
            signed_urls.download_url(exchange.request, record) if config.core.allow_artifacts_download else None
        ),
        is_resource=exchange.mount.adapters.exposes_artifacts and record.expose,
        has_links=exchange.route.has_links(exchange),
        raw=raw, file=sep_2631.file_block(record) if is_fetched else None,
    )
