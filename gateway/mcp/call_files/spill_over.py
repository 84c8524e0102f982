"""Spill-over of large tool results: large values become artifacts, replaced by links and previews."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from longshore.gateway.appkeys import FILES, QUEUE
from longshore.gateway.files import results, spill, structured
from longshore.gateway.files.finalise import finalise_artifact
from longshore.gateway.files.spill import LargeValue
from longshore.gateway.mcp.call_files.attach_outputs import present
from longshore.gateway.mcp.call_files.staging import staging_writer
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
_MAX_ARTIFACTS = 100         # of one result; values after them stay


async def spill_over(
    exchange: Exchange, response: bytes, limit_bytes: int, *, captured: Sequence[ArtifactRecord]
) -> bytes:
    """Store each text and file of more than `limit_bytes` in the response as an artifact, and return what remains.

    `captured` are the artifacts of the same call so far. A value that does not fit the quota stays: better a large
    response than none. Structured content keeps to the tool's output schema. Raises StoreDown, WorkerDown, SessionGone.
    """
    message = jsonrpc.open_object(response)
    if "result" not in message:
        return response
    result = jsonrpc.open_object(message["result"])
    if (blocks := spill.blocks_of(result)) is None:
        return response
    spilled = _SpilledResult(exchange, limit_bytes, captured)
    await spilled.add_blocks(blocks)
    await spilled.replace_structured(result)
    if not spilled.has_changed:
        return response
    spill.set_content(result, spilled.blocks, spilled.artifacts)
    message["result"] = jsonrpc.raw(result)
    return jsonrpc.close_object(message)


class _SpilledResult:
    """Content of one result after spill-over."""

    def __init__(self, exchange: Exchange, limit_bytes: int, captured: Sequence[ArtifactRecord]) -> None:
        self.blocks: list[Any] = []
        self.artifacts: list[dict[str, Any]] = []    # as described in `_meta`
        self.has_changed = False
        self._exchange = exchange
        self._limit_bytes = limit_bytes
        self._known = list(captured)
        self._held_count = 0                     # of these

    async def add_blocks(self, blocks: Sequence[msgspec.Raw]) -> None:
        """Add the blocks of the content, large ones as links to artifacts."""
        for raw in blocks:
            found = spill.large_block(raw, self._limit_bytes)
            record, is_new = (None, False) if found is None else await self._store(found)
            if found is None or record is None:
                self.blocks.append(raw)
                continue
            self.has_changed = True
            shown = present(self._exchange, record)
            linked = shown if is_new else replace(shown, has_links=False, file=None)
            self.blocks += spill.replacement_blocks(record, linked, found.preview)

    async def replace_structured(self, result: RawMap) -> None:
        """Replace large structured content by a description of its artifact.

        Where the tool has an output schema, only long texts in it are replaced for which the schema admits any text.
        For a tool that is not known, nothing is replaced.
        """
        monitor, tool = self._exchange.mount.monitor, self._exchange.envelope.name
        raw = result.get("structuredContent", msgspec.Raw(b""))
        if len(bytes(raw)) <= self._limit_bytes or tool not in monitor.tools:
            return
        if (schema := monitor.outputs.get(tool)) is not None:
            result["structuredContent"] = await self._with_short_texts(raw, schema)
        elif (record := await self._store_and_link(spill.large_structured(raw, tool))) is not None:
            shown = present(self._exchange, record)
            result["structuredContent"] = jsonrpc.raw(results.describe_artifact(record, shown))

    async def _with_short_texts(self, raw: msgspec.Raw, schema: dict[str, Any]) -> msgspec.Raw:
        try:
            value = msgspec.json.decode(raw)
        except jsonrpc.UNREADABLE:
            return raw
        slots = list(structured.replaceable_texts(value, schema, self._limit_bytes))
        for slot in slots:
            found = spill.large_text(slot.value)
            if (record := await self._store_and_link(found)) is not None:
                slot.fill(spill.replacement_text(record, present(self._exchange, record), found.preview))
        return jsonrpc.raw(value) if slots else raw

    async def _store_and_link(self, found: LargeValue) -> ArtifactRecord | None:
        """Store the value as an artifact, and add a link block where it is new."""
        record, is_new = await self._store(found)
        if record is not None:
            self.has_changed = True
        if record is not None and is_new:
            self.blocks += results.link_blocks(record, present(self._exchange, record))
        return record

    async def _store(self, found: LargeValue) -> tuple[ArtifactRecord | None, bool]:
        """Find the call's artifact with these bytes, or store one, and tell if it is new.

        None where it does not fit the quota.
        """
        alike = [record for record in self._known if record.size_bytes == len(found.data)]
        sha256 = hashlib.sha256(found.data).hexdigest() if alike else ""
        for record in alike:
            if record.sha256 == sha256:
                return record, False
        if len(self.artifacts) >= _MAX_ARTIFACTS:
            return None, False
        await self._hold()
        new = await _store_artifact(self._exchange, found)
        if new is not None:
            self._known.append(new)
            self.artifacts.append(results.describe_artifact(new, present(self._exchange, new)))
        return new, new is not None

    async def _hold(self) -> None:
        """Hold the artifacts of this call until its end: they must not be evicted by those that follow."""
        exchange, ids_of_call = self._exchange, [record.id for record in self._known[self._held_count:]]
        self._held_count = len(self._known)
        lease = lease_id(exchange.context, exchange.envelope)
        with suppress(NotFound):     # the user has deleted one already
            await exchange.request.app[LEASES].use(exchange.caller.session_id, lease, ids_of_call)


async def _store_artifact(exchange: Exchange, found: LargeValue) -> ArtifactRecord | None:
    """Store one value; None where it does not fit the quota."""
    app, scope, artifact_id = exchange.request.app, exchange.caller.session_id, ids.new_id()
    staged = f"{artifact_id}.spilled"
    name = layout.safe_name(found.name, fallback=exchange.envelope.name or "result")
    candidate = Candidate(source="staged", path=staged, name=name, media_type=found.media_type)
    await app[FILES].allocate_pending(scope, artifact_id, grace_ms=_GRACE_MS)
    try:
        async with staging_writer(exchange, staged) as writer:
            await writer.write(found.data)
            await writer.finish()
            outcome = await finalise_artifact(app[QUEUE], FinaliseArtifact(
                scope=scope, server=exchange.caller.server, artifact_id=artifact_id, tool=exchange.envelope.name,
                candidates=[candidate], not_before_ns=0, expose=True,
            ))
    except LongshoreError as err:
        await app[FILES].drop_pending(scope, artifact_id)
        if isinstance(err, OverQuota):
            return None
        raise
    return outcome.record if isinstance(outcome, ArtifactDone) else None
