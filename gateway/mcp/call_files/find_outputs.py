"""Search for the files that a call wrote: at paths first, else embedded in the result or linked from it.

A worker captures them. Embedded files are decoded and staged only where no path leads to a file.
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
from longshore.gateway.mcp.call_files.reserved_output import ReservedOutput, to_worker_path
from longshore.gateway.mcp.call_files.staging import staging_writer
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.wire.protocol_errors import ArtifactMissing
from longshore.shared import ids
from longshore.shared.errors import LongshoreError
from longshore.shared.jobs import MAX_FILES, ArtifactDone, Candidate, FinaliseArtifact
from longshore.shared.records import ArtifactRecord
from longshore.shared.storage import layout


@dataclass(slots=True)
class FoundOutputs:
    """Captured files of one call, and reasons for the client why others were refused."""

    records: list[ArtifactRecord] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


async def find_outputs(exchange: Exchange, output: ReservedOutput, result: ToolResult) -> FoundOutputs:
    """Find and capture the files. Raises SessionGone, OverQuota, WorkerDown, StoreDown, DiskFull."""
    mode = output.producer.output_locator.mode
    reserved = [Candidate(source="injected", path=output.path, name=output.name)] if output.path else []
    paths = _path_candidates(exchange, output, result)
    embedded_parts = _embedded_parts(output, result)
    found = FoundOutputs()
    if reserved or paths:
        found = await _finalise(exchange, output, [*reserved, *paths], is_last=not embedded_parts)
    if found.records or not embedded_parts:
        return found
    staged, refusals = await _stage_all(exchange, embedded_parts)
    if staged or reserved:
        inside = await _finalise(exchange, output, [*reserved, *staged], is_last=True)
        if not inside.records:
            refusals += found.refusals
        found = inside
    return FoundOutputs(found.records, found.refusals + (refusals if mode == "embedded" or not found.records else []))


def _path_candidates(exchange: Exchange, output: ReservedOutput, result: ToolResult) -> list[Candidate]:
    locator = output.producer.output_locator
    is_sure = locator.mode == "structured" or bool(locator.output_path_regexes)
    named = [(path, False) for path in candidates.by_locator(result, locator)]
    named += [(path, True) for path in candidates.other_paths(result, locator)]
    return [
        Candidate(
            source="located", path=to_worker_path(exchange, path), name=PurePosixPath(path).name,
            artifact_id=ids.new_id(), is_fallback=is_fallback, is_sure=is_sure and not is_fallback,
        )
        for path, is_fallback in named
    ]


def _embedded_parts(output: ReservedOutput, result: ToolResult) -> Sequence[Embedded | Linked]:
    """Return the files embedded in the result, in `embedded` mode its links too."""
    match output.producer.output_locator.mode:
        case "none":
            return []
        case "embedded":
            return embedded.embedded_and_linked(result.blocks)
        case _:
            return embedded.embedded_files(result.blocks)


async def _finalise(
    exchange: Exchange, output: ReservedOutput, files: list[Candidate], *, is_last: bool
) -> FoundOutputs:
    """Let a worker capture the files, or those of them that exist."""
    order = FinaliseArtifact(
        scope=exchange.caller.session_id, server=exchange.caller.server, artifact_id=output.artifact_id,
        tool=exchange.envelope.name, candidates=files, not_before_ns=output.not_before_ns,
        expose=output.producer.expose_as_resource, is_last=is_last,
        spare_ids=[ids.new_id() for _ in range(MAX_FILES - 1)] if output.path else [],
    )
    try:
        outcome = await finalise_artifact(exchange.request.app[QUEUE], order)
    except LongshoreError:
        await _discard(exchange, files)
        raise
    if isinstance(outcome, ArtifactDone):
        return FoundOutputs([outcome.record, *outcome.more], outcome.refusals)
    return FoundOutputs([], outcome.refusals)


async def _stage_all(exchange: Exchange, parts: Sequence[Embedded | Linked]) -> tuple[list[Candidate], list[str]]:
    """Stage the parts one after the other; return the staged files, and reasons why others were refused."""
    staged: list[Candidate] = []
    refusals: list[str] = []
    dropped = links = 0
    try:
        for part in parts:
            links += isinstance(part, Linked)
            if len(staged) == MAX_FILES or (isinstance(part, Linked) and links > MAX_FILES):
                dropped += 1         # unread: each link is a request to the upstream
                continue
            try:
                files = await linked_resources.read_link(exchange, part) if isinstance(part, Linked) else [part]
                for file in files:
                    if len(staged) == MAX_FILES:
                        dropped += 1
                    else:
                        staged.append(await _stage(exchange, file, number=len(staged) + 1))
            except ArtifactMissing as err:
                refusals.append(str(err))
    except BaseException:
        await _discard(exchange, staged)
        raise
    if dropped:
        refusals.append(f"{dropped} more embedded: of one call {MAX_FILES} files are kept at most")
    return staged, refusals


async def _discard(exchange: Exchange, files: Sequence[Candidate]) -> None:
    staged = [layout.staging_parts(file.path) for file in files if file.source == "staged"]
    await exchange.request.app[BLOBS].discard(*staged)


async def _stage(exchange: Exchange, file: Embedded, *, number: int) -> Candidate:
    """Decode the file and stage it. Raises ArtifactMissing for invalid base64, DiskFull, Unavailable."""
    content = file.decode()
    artifact_id = ids.new_id()
    async with staging_writer(exchange, name := f"{artifact_id}.embedded") as writer:
        await writer.write(content)
        await writer.finish()
    unnamed = exchange.envelope.name or "artifact"
    display = layout.safe_name(file.name, fallback=unnamed if number == 1 else f"{unnamed}-{number}")
    return Candidate(source="staged", path=name, name=display, media_type=file.media_type, artifact_id=artifact_id)
