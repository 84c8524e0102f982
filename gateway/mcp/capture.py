"""The life of one artifact around a tool call: reserved before, captured by a worker after, or given up."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from gateway.appkeys import BLOBS, FILES, QUEUE, TASKS
from gateway.files import arguments, candidates, handles, results, stored
from gateway.files.candidates import ToolResult
from gateway.mcp import links
from gateway.mcp.exchange import Exchange
from gateway.wire import jsonrpc
from shared import ids, layout
from shared.config import ArtifactProducer
from shared.errors import ArtifactMissing, LongshoreError
from shared.jobs import ArtifactDone, Candidate, FinaliseArtifact, NothingFound
from shared.records import ArtifactRecord

_FINALISE_S = 30.0
_MOST_RAW_BYTES = 16 * 1024 * 1024
_COMPLETE = b'"complete"'
_FIRST_WITH_LINKS = "2025-06-18"      # the revision that brought `resource_link`
_GRACE_AFTER_CALL_S = 60
_LONGEST_CALL_S = 86_400


@dataclass(slots=True)
class Pending:
    """An artifact that a running call may write."""

    artifact_id: str
    producer: ArtifactProducer
    not_before_ns: int           # by the volume's clock, taken before the call
    injected: str = ""           # the path in the arguments, as workers see it; "" when none was injected
    name: str = ""
    settled: bool = False
    record: ArtifactRecord | None = None     # of what was captured


def storage_root(exchange: Exchange) -> PurePosixPath:
    """The storage root as the upstream sees it."""
    own = PurePosixPath(exchange.request.app[BLOBS].folders.root)
    theirs = exchange.mounted.server.upstream.storage_path
    return PurePosixPath(theirs) if theirs else own


async def begin(exchange: Exchange, producer: ArtifactProducer, given: dict[str, Any]) -> Pending | None:
    """Reserve an artifact and put its path into the arguments. None when nothing is to be kept or injected."""
    app, scope = exchange.request.app, exchange.caller.session_id
    pending = Pending(ids.new_id(), producer, not_before_ns=0)
    timeout_s = exchange.config.tool_timeout_s(exchange.mounted.server, producer) or _LONGEST_CALL_S
    grace_ms = int(timeout_s + _GRACE_AFTER_CALL_S) * 1000
    await app[FILES].allocate_pending(scope, pending.artifact_id, grace_ms=grace_ms)
    if producer.output_path_argument is not None:
        folder = layout.artifact_parts(scope, pending.artifact_id, "")[:-1]
        await app[BLOBS].make_folder(folder)
        root = storage_root(exchange)

        def path_for(wanted: str) -> str:
            pending.name = layout.safe_name(PurePosixPath(wanted).name, fallback=exchange.envelope.name or "artifact")
            return str(root.joinpath(*folder, pending.name))

        arguments.inject(given, producer.output_path_argument, path_for)
        pending.injected = str(app[BLOBS].folders.root.joinpath(*folder, pending.name))
    pending.not_before_ns = await app[BLOBS].stamp_ns()
    return pending


async def finish(exchange: Exchange, pending: Pending, response: bytes) -> bytes:
    """The response with the artifact that the call wrote. Raises ArtifactMissing when the adapter promised one.

    With `mode: none` and nothing found, or when the tool itself failed, the response stays as it is.
    """
    message = jsonrpc.open_object(response)
    if "result" not in message or not pending.producer.persist:
        return response
    result = jsonrpc.open_object(message["result"])
    if bytes(result.get("resultType", _COMPLETE)) != _COMPLETE:
        return response          # the tool has not run to its end: it wants to be asked again
    said = ToolResult.decode(bytes(message["result"]))
    if said.is_error:
        return response
    record, refusals = await _capture(exchange, pending, said)
    if record is None:
        if pending.producer.output_locator.mode == "none":
            return response
        why = "; ".join(refusals) or "its answer names none"
        raise ArtifactMissing(f"the tool ran, but no file of its could be captured: {why}")
    pending.settled, pending.record = True, record
    results.attach(result, record, await _presentation(exchange, pending, record))
    message["result"] = jsonrpc.raw(result)
    return jsonrpc.close_object(message)


def abandon(exchange: Exchange, pending: Pending) -> None:
    """Give up what was reserved, unless it was captured or the adapter leaves the file to the tool."""
    if pending.settled:
        return
    app, scope = exchange.request.app, exchange.caller.session_id
    keep_file = not pending.producer.persist

    async def drop() -> None:
        await app[FILES].drop_pending(scope, pending.artifact_id)
        if not keep_file:
            await app[BLOBS].remove_folder(layout.artifact_parts(scope, pending.artifact_id, "")[:-1])

    app[TASKS].spawn(drop(), name="abandon_artifact")


async def _capture(exchange: Exchange, pending: Pending, said: ToolResult) -> tuple[ArtifactRecord | None, list[str]]:
    app, scope = exchange.request.app, exchange.caller.session_id
    places, staged = await _places(exchange, pending, said)
    if not places:
        return None, []
    order = FinaliseArtifact(
        scope=scope, server=exchange.caller.server, artifact_id=pending.artifact_id, tool=exchange.envelope.name,
        candidates=places, not_before_ns=pending.not_before_ns, expose=pending.producer.expose_as_resource,
    )
    try:
        outcome = await app[QUEUE].run(order, timeout_s=_FINALISE_S)
    except LongshoreError:
        if staged:
            await app[BLOBS].discard(*(layout.staging_parts(name) for name in staged))
        raise
    if isinstance(outcome, ArtifactDone):
        return outcome.record, []
    return None, outcome.refusals if isinstance(outcome, NothingFound) else []


async def _places(exchange: Exchange, pending: Pending, said: ToolResult) -> tuple[list[Candidate], list[str]]:
    """Where the file may be, most likely first, and the names of what was staged for it."""
    locator = pending.producer.output_locator
    places = [Candidate(source="injected", path=pending.injected, name=pending.name)] if pending.injected else []
    places += [
        Candidate(source="located", path=_as_ours(exchange, path), name=PurePosixPath(path).name)
        for path in candidates.paths(said, locator)
    ]
    staged: list[str] = []
    carried = _carried(said, is_expected=locator.mode == "embedded") if locator.mode != "none" else None
    if carried is not None:
        part, content = carried
        writer = exchange.request.app[BLOBS].writer(name := f"{pending.artifact_id}.embedded")
        try:
            await writer.write(content)
            await writer.finish()
        except BaseException:
            await writer.abort()
            raise
        staged.append(name)
        display = layout.safe_name(part.name, fallback=exchange.envelope.name or "artifact")
        places.append(Candidate(source="staged", path=name, name=display, media_type=part.media_type))
    return places, staged


def _carried(said: ToolResult, *, is_expected: bool) -> tuple[candidates.Embedded, bytes] | None:
    """The first embedded part and its bytes. Raises ArtifactMissing for broken base64 where a part is expected."""
    for part in candidates.embedded(said)[:1]:
        with contextlib.suppress(*() if is_expected else (ArtifactMissing,)):
            return part, part.decode()
    return None


def _as_ours(exchange: Exchange, path: str) -> str:
    """A path that the upstream named, as workers see it."""
    theirs = storage_root(exchange)
    own = PurePosixPath(exchange.request.app[BLOBS].folders.root)
    named = PurePosixPath(path)
    if theirs != own and named.is_relative_to(theirs):
        return str(own.joinpath(named.relative_to(theirs)))
    if exchange.mounted.server.upstream.storage_path is None and not named.is_relative_to(own):
        return candidates.in_our_layout(path, str(own))
    return path


async def _presentation(exchange: Exchange, pending: Pending, record: ArtifactRecord) -> results.Presentation:
    config, request = exchange.config, exchange.request
    raw: bytes | None = None
    if config.allow_raw_output(exchange.mounted.server, pending.producer) and record.size_bytes <= _MOST_RAW_BYTES:
        fd = await stored.opened(request.app[BLOBS], request.app[FILES], record)
        raw = await request.app[BLOBS].run(_read_all, fd)
    return shown(exchange, record, raw)


def shown(exchange: Exchange, record: ArtifactRecord, raw: bytes | None = None) -> results.Presentation:
    """How this caller is shown the artifact."""
    config = exchange.config
    return results.Presentation(
        uri=handles.artifact_uri(config.artifacts.uri_scheme, record),
        download_url=links.download_url(exchange.request, record) if config.core.allow_artifacts_download else None,
        is_resource=exchange.mounted.adapters.exposes_artifacts and record.expose,
        has_links=exchange.stateless is not None or exchange.session.protocol >= _FIRST_WITH_LINKS,
        raw=raw,
    )


def _read_all(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        return file.read()
