"""Tool results too large for their client: large parts become artifacts, with a preview in their place."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from longshore.gateway.appkeys import BLOBS, FILES, QUEUE
from longshore.gateway.files import results, spill, structured
from longshore.gateway.files.finalise import finalise_artifact
from longshore.gateway.files.spill import LargeValue
from longshore.gateway.mcp.call_files import attach_outputs
from longshore.gateway.mcp.exchange import Exchange, lease_id
from longshore.gateway.mcp.sessions.leases import LEASES
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.jsonrpc import RawMap
from longshore.shared import ids
from longshore.shared.errors import LongshoreError, NotFound, OverQuota
from longshore.shared.jobs import ArtifactDone, Candidate, FinaliseArtifact
from longshore.shared.records import ArtifactRecord
from longshore.shared.storage import layout

_GRACE_MS = 120_000
_MOST = 100                  # of one result; what comes after them stays


async def spilled(
    exchange: Exchange, response: bytes, limit_bytes: int, *, captured: Sequence[ArtifactRecord]
) -> bytes:
    """The response with what is above `limit_bytes` of text and bytes kept as artifacts, one after the other.

    `captured` is what an adapter has kept of the same call. What there is no room for stays as it is: better a
    large answer than none. Structured content stays as the tool's output schema promises it.
    Raises StoreDown, WorkerDown, SessionGone.
    """
    message = jsonrpc.open_object(response)
    if "result" not in message:
        return response
    result = jsonrpc.open_object(message["result"])
    if (blocks := spill.blocks_of(result)) is None:
        return response
    spilling = _Spilling(exchange, limit_bytes, captured)
    await spilling.take(blocks)
    await spilling.structured_of(result)
    if not spilling.has_changed:
        return response
    spill.set_content(result, spilling.blocks, spilling.kept)
    message["result"] = jsonrpc.raw(result)
    return jsonrpc.close_object(message)


class _Spilling:
    """What becomes of one result."""

    def __init__(self, exchange: Exchange, limit_bytes: int, captured: Sequence[ArtifactRecord]) -> None:
        self.blocks: list[Any] = []
        self.kept: list[dict[str, Any]] = []     # as `_meta` tells of them
        self.has_changed = False
        self._exchange = exchange
        self._limit_bytes = limit_bytes
        self._known = list(captured)
        self._held = 0                           # of these

    async def take(self, blocks: Sequence[msgspec.Raw]) -> None:
        """Take over the blocks of the content, or what stands for them."""
        for raw in blocks:
            found = spill.large_block(raw, self._limit_bytes)
            record, is_new = (None, False) if found is None else await self._record(found)
            if found is None or record is None:
                self.blocks.append(raw)
                continue
            self.has_changed = True
            shown = attach_outputs.shown(self._exchange, record)
            linked = shown if is_new else replace(shown, has_links=False, file=None)
            self.blocks += spill.replacement_blocks(record, linked, found.preview)

    async def structured_of(self, result: RawMap) -> None:
        """Replace structured content by where it is kept, or, where the tool has an output schema, long texts in it
        that any other text may stand for. Of a tool that is not known, it stays."""
        monitor, tool = self._exchange.mount.monitor, self._exchange.envelope.name
        raw = result.get("structuredContent", msgspec.Raw(b""))
        if len(bytes(raw)) <= self._limit_bytes or tool not in monitor.tools:
            return
        if (schema := monitor.outputs.get(tool)) is not None:
            result["structuredContent"] = await self._with_short_texts(raw, schema)
        elif (record := await self._linked(spill.large_structured(raw, tool))) is not None:
            shown = attach_outputs.shown(self._exchange, record)
            result["structuredContent"] = jsonrpc.raw(results.describe_artifact(record, shown))

    async def _with_short_texts(self, raw: msgspec.Raw, schema: dict[str, Any]) -> msgspec.Raw:
        try:
            value = msgspec.json.decode(raw)
        except jsonrpc.UNREADABLE:
            return raw
        slots = list(structured.replaceable_texts(value, schema, self._limit_bytes))
        for slot in slots:
            found = spill.large_text(slot.value)
            if (record := await self._linked(found)) is not None:
                slot.fill(spill.replacement_text(record, attach_outputs.shown(self._exchange, record), found.preview))
        return jsonrpc.raw(value) if slots else raw

    async def _linked(self, found: LargeValue) -> ArtifactRecord | None:
        """The artifact, with a block that leads there, where no other does."""
        record, is_new = await self._record(found)
        if record is not None:
            self.has_changed = True
        if record is not None and is_new:
            self.blocks += results.link_blocks(record, attach_outputs.shown(self._exchange, record))
        return record

    async def _record(self, found: LargeValue) -> tuple[ArtifactRecord | None, bool]:
        """The artifact of these bytes, and whether it is a new one. None when there is no room for it."""
        alike = [record for record in self._known if record.size_bytes == len(found.data)]
        sha256 = hashlib.sha256(found.data).hexdigest() if alike else ""
        for record in alike:
            if record.sha256 == sha256:
                return record, False
        if len(self.kept) >= _MOST:
            return None, False
        await self._hold()
        new = await _kept(self._exchange, found)
        if new is not None:
            self._known.append(new)
            self.kept.append(results.describe_artifact(new, attach_outputs.shown(self._exchange, new)))
        return new, new is not None


    async def _hold(self) -> None:
        """Have what is kept of this call stay until its end: it must not give way to what comes after it."""
        exchange, ids_of_call = self._exchange, [record.id for record in self._known[self._held:]]
        self._held = len(self._known)
        lease = lease_id(exchange.context, exchange.envelope)
        with suppress(NotFound):     # one has gone already, as the user may have wanted
            await exchange.request.app[LEASES].use(exchange.caller.session_id, lease, ids_of_call)


async def _kept(exchange: Exchange, found: LargeValue) -> ArtifactRecord | None:
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
        outcome = await finalise_artifact(app[QUEUE], FinaliseArtifact(
            scope=scope, server=exchange.caller.server, artifact_id=artifact_id, tool=exchange.envelope.name,
            candidates=[place], not_before_ns=0, expose=True,
        ))
    except BaseException as err:
        await writer.abort()
        if isinstance(err, LongshoreError):
            await app[FILES].drop_pending(scope, artifact_id)
        if isinstance(err, OverQuota):
            return None
        raise
    return outcome.record if isinstance(outcome, ArtifactDone) else None
