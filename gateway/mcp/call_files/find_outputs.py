"""The files that a call made, brought in by a worker: from paths first, else from inside the result.

What a result carries is decoded and staged only where no path leads to a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from longshore.gateway.appkeys import BLOBS, QUEUE
from longshore.gateway.files import candidates, embedded
from longshore.gateway.files.candidates import ToolResult
from longshore.gateway.files.embedded import Embedded, Linked
from longshore.gateway.files.finalise import finalise_artifact
from longshore.gateway.mcp.call_files import linked_resources
from longshore.gateway.mcp.call_files.reserved_output import Pending, as_ours
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.wire.protocol_errors import ArtifactMissing
from longshore.shared import ids
from longshore.shared.errors import LongshoreError
from longshore.shared.jobs import MAX_FILES, ArtifactDone, Candidate, FinaliseArtifact
from longshore.shared.records import ArtifactRecord
from longshore.shared.storage import layout


@dataclass(slots=True)
class Found:
    """The files of one call, and why others are not among them, fit for a caller's eyes."""

    records: list[ArtifactRecord] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


async def search(exchange: Exchange, pending: Pending, said: ToolResult) -> Found:
    """Look for the files. Raises SessionGone, OverQuota, WorkerDown, StoreDown, DiskFull."""
    mode = pending.producer.output_locator.mode
    injected = [Candidate(source="injected", path=pending.injected, name=pending.name)] if pending.injected else []
    paths = _paths(exchange, pending, said)
    carried = _carried(pending, said)
    found = Found()
    if injected or paths:
        found = await _finalised(exchange, pending, [*injected, *paths], is_last=not carried)
    if found.records or not carried:
        return found
    staged, refusals = await _staged(exchange, carried)
    if staged or injected:
        inside = await _finalised(exchange, pending, [*injected, *staged], is_last=True)
        if not inside.records:
            refusals += found.refusals
        found = inside
    return Found(found.records, found.refusals + (refusals if mode == "embedded" or not found.records else []))


def _paths(exchange: Exchange, pending: Pending, said: ToolResult) -> list[Candidate]:
    locator = pending.producer.output_locator
    is_sure = locator.mode == "structured" or bool(locator.output_path_regexes)
    named = [(path, False) for path in candidates.by_locator(said, locator)]
    named += [(path, True) for path in candidates.other_paths(said, locator)]
    return [
        Candidate(
            source="located", path=as_ours(exchange, path), name=PurePosixPath(path).name, artifact_id=ids.new_id(),
            is_fallback=is_fallback, is_sure=is_sure and not is_fallback,
        )
        for path, is_fallback in named
    ]


def _carried(pending: Pending, said: ToolResult) -> Sequence[Embedded | Linked]:
    """What the result has inside, and where that is to be looked at, what it links to."""
    match pending.producer.output_locator.mode:
        case "none":
            return []
        case "embedded":
            return embedded.embedded_and_linked(said.blocks)
        case _:
            return embedded.embedded_files(said.blocks)


async def _finalised(exchange: Exchange, pending: Pending, places: list[Candidate], *, is_last: bool) -> Found:
    order = FinaliseArtifact(
        scope=exchange.caller.session_id, server=exchange.caller.server, artifact_id=pending.artifact_id,
        tool=exchange.envelope.name, candidates=places, not_before_ns=pending.not_before_ns,
        expose=pending.producer.expose_as_resource, is_last=is_last,
        spare_ids=[ids.new_id() for _ in range(MAX_FILES - 1)] if pending.injected else [],
    )
    try:
        outcome = await finalise_artifact(exchange.request.app[QUEUE], order)
    except LongshoreError:
        await _discard(exchange, places)
        raise
    if isinstance(outcome, ArtifactDone):
        return Found([outcome.record, *outcome.more], outcome.refusals)
    return Found([], outcome.refusals)


async def _staged(
    exchange: Exchange, carried: Sequence[Embedded | Linked]
) -> tuple[list[Candidate], list[str]]:
    """What the result carries, in staging one after the other, and what of it cannot be had."""
    places: list[Candidate] = []
    refusals: list[str] = []
    left_out = links = 0
    try:
        for part in carried:
            links += isinstance(part, Linked)
            if len(places) == MAX_FILES or (isinstance(part, Linked) and links > MAX_FILES):
                left_out += 1        # unread: each link is a request to the upstream
                continue
            try:
                files = await linked_resources.read(exchange, part) if isinstance(part, Linked) else [part]
                for file in files:
                    if len(places) == MAX_FILES:
                        left_out += 1
                    else:
                        places.append(await _in_staging(exchange, file, number=len(places) + 1))
            except ArtifactMissing as err:
                refusals.append(str(err))
    except BaseException:
        await _discard(exchange, places)
        raise
    if left_out:
        refusals.append(f"{left_out} more embedded: of one call {MAX_FILES} files are kept at most")
    return places, refusals


async def _discard(exchange: Exchange, places: Sequence[Candidate]) -> None:
    staged = [layout.staging_parts(place.path) for place in places if place.source == "staged"]
    await exchange.request.app[BLOBS].discard(*staged)


async def _in_staging(exchange: Exchange, file: Embedded, *, number: int) -> Candidate:
    """Raises ArtifactMissing for broken base64."""
    content = file.decode()
    artifact_id = ids.new_id()
    await stage(exchange, name := f"{artifact_id}.embedded", content)
    unnamed = exchange.envelope.name or "artifact"
    display = layout.safe_name(file.name, fallback=unnamed if number == 1 else f"{unnamed}-{number}")
    return Candidate(source="staged", path=name, name=display, media_type=file.media_type, artifact_id=artifact_id)


async def stage(exchange: Exchange, name: str, content: bytes) -> None:
    """Write `content` into staging under a name that was never used. Raises DiskFull, Unavailable."""
    writer = exchange.request.app[BLOBS].writer(name)
    try:
        await writer.write(content)
        await writer.finish()
    except BaseException:
        await writer.abort()
        raise
