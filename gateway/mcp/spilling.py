"""Tool results too large for their client: large blocks become artifacts, with a preview in their place."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.appkeys import BLOBS, FILES, QUEUE
from gateway.files import results, spill
from gateway.files.spill import Large
from gateway.mcp import capture
from gateway.mcp.exchange import Exchange
from gateway.wire import jsonrpc
from shared import ids, layout
from shared.errors import LongshoreError, OverQuota
from shared.jobs import ArtifactDone, Candidate, FinaliseArtifact
from shared.records import ArtifactRecord

_FINALISE_S = 30.0
_GRACE_MS = 120_000


async def spilled(
    exchange: Exchange, response: bytes, limit_bytes: int, *, captured: Sequence[ArtifactRecord]
) -> bytes:
    """The response with every text or binary block above `limit_bytes` kept as an artifact, one block at a time.

    `captured` is what an adapter has kept of the same call. A block for which there is no room stays as it is:
    better a large answer than none. Structured content stays, as the tool's schema promises it.
    Raises StoreDown, WorkerDown, SessionGone.
    """
    message = jsonrpc.open_object(response)
    if "result" not in message:
        return response
    result = jsonrpc.open_object(message["result"])
    blocks: list[Any] = []
    kept: list[dict[str, Any]] = []
    changed = False
    for raw in spill.blocks_of(result):
        found = spill.large(raw, limit_bytes)
        again = _same(found, captured) if found is not None else None
        record = again or (await _kept(exchange, found) if found is not None else None)
        if found is None or record is None:
            blocks.append(raw)
            continue
        changed, shown = True, capture.shown(exchange, record)
        linked = shown if again is None else replace(shown, has_links=False, file=None)
        blocks += spill.stand_ins(record, linked, found.preview)
        if again is None:
            kept.append(results.meta_of(record, shown))
    if not changed:
        return response
    spill.put(result, blocks, kept)
    message["result"] = jsonrpc.raw(result)
    return jsonrpc.close_object(message)


def _same(found: Large, captured: Sequence[ArtifactRecord]) -> ArtifactRecord | None:
    """The artifact with the same bytes."""
    alike = [record for record in captured if record.size_bytes == len(found.data)]
    sha256 = hashlib.sha256(found.data).hexdigest() if alike else ""
    return next((record for record in alike if record.sha256 == sha256), None)


async def _kept(exchange: Exchange, found: Large) -> ArtifactRecord | None:
    """The artifact of one block; None when there is no room for it."""
    app, scope, artifact_id = exchange.request.app, exchange.caller.session_id, ids.new_id()
    staged = f"{artifact_id}.spilled"
    name = layout.safe_name(found.name, fallback=exchange.envelope.name or "result")
    place = Candidate(source="staged", path=staged, name=name, media_type=found.media_type)
    await app[FILES].allocate_pending(scope, artifact_id, grace_ms=_GRACE_MS)
    writer = app[BLOBS].writer(staged)
    try:
        await writer.write(found.data)
        await writer.finish()
        outcome = await app[QUEUE].run(FinaliseArtifact(
            scope=scope, server=exchange.caller.server, artifact_id=artifact_id, tool=exchange.envelope.name,
            candidates=[place], not_before_ns=0, expose=True,
        ), timeout_s=_FINALISE_S)
    except BaseException as err:
        await writer.abort()
        if isinstance(err, LongshoreError):
            await app[FILES].drop_pending(scope, artifact_id)
        if isinstance(err, OverQuota):
            return None
        raise
    return outcome.record if isinstance(outcome, ArtifactDone) else None
