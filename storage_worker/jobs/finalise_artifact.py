"""The job that captures the file a tool wrote."""

import contextlib

from shared.clock import now_ms
from shared.errors import Forbidden, NotFound, Refused
from shared.folders import Folders
from shared.jobs import ArtifactDone, Candidate, FinaliseArtifact, NothingFound
from shared.layout import artifact_parts, staging_parts
from shared.records import ArtifactRecord
from storage_worker.capture import Capture, Captured
from storage_worker.eviction import commit
from storage_worker.frame import job
from storage_worker.places import place_of, root_of
from storage_worker.stores import Stores

_WHERE = {"injected": "at the path given to the tool", "located": "at a path that the tool named", "staged": "embedded"}


@job(FinaliseArtifact, timeout_s=120.0)
async def finalise_artifact(stores: Stores, order: FinaliseArtifact) -> ArtifactDone | NothingFound:
    """Capture the first candidate that is there and allowed, else the one file beside the injected path; commit it.

    File before record: a record never points at bytes that are not there. Repeatable at every line: what
    was committed is returned, what lies in the artifact's folder is found there again, a copy is made
    again under the same name, and the script charges once. A refusal and NothingFound leave neither file
    nor reservation. Raises SessionGone, Unavailable, DiskFull.
    """
    done = await _committed(stores, order)
    if done is None:
        refusals: list[str] = []
        captured = await _capture(stores, order, refusals)
        try:
            # Nothing here may also mean that a run beside this one has taken it already.
            done = await _commit(stores, order, captured) if captured else await _committed(stores, order)
        except Refused:
            await _undo(stores, order)
            raise
        if done is None:
            await _undo(stores, order)
            return NothingFound(refusals=refusals)
    await _discard_staged(stores, order)
    return done


async def _committed(stores: Stores, order: FinaliseArtifact) -> ArtifactDone | None:
    try:
        record = await stores.files.get(order.scope, order.artifact_id)
    except NotFound:
        return None
    return ArtifactDone(record=record) if isinstance(record, ArtifactRecord) else None


async def _capture(stores: Stores, order: FinaliseArtifact, refusals: list[str]) -> Captured | None:
    for candidate in order.candidates:
        try:
            return await stores.blobs.run(_take, stores, order, candidate)
        except Refused as err:
            refusals.append(f"{_WHERE[candidate.source]}: {err}")
    if any(candidate.source == "injected" for candidate in order.candidates):
        # What was refused has been said already.
        with contextlib.suppress(Refused):
            return await stores.blobs.run(_sibling, stores, order)
    return None


def _sibling(stores: Stores, order: FinaliseArtifact) -> Captured:
    """What the tool wrote beside the path given to it, under a name of its own."""
    capture = Capture(folders=stores.blobs.folders, scope=order.scope, artifact_id=order.artifact_id, name="")
    return capture.adopt_only()


def _take(stores: Stores, order: FinaliseArtifact, candidate: Candidate) -> Captured:
    folders = stores.blobs.folders
    capture = Capture(
        folders=folders, scope=order.scope, artifact_id=order.artifact_id, name=candidate.name,
        declared=candidate.media_type,
    )
    if candidate.source == "staged":
        return capture.take(candidate.path)
    roots = [root_of(folders.root, is_storage=True)]
    if candidate.source == "located":
        roots += map(root_of, stores.policy.capture_roots)
    place = place_of(candidate.path, roots, order.scope)
    if place.root.is_storage and place.parts[:-1] == capture.folder:
        return capture.adopt(place.parts[-1])
    if candidate.source == "injected":
        raise Forbidden("the file lies outside its artifact's folder")
    # The modes do not matter: nothing is created below the source's root.
    source = Folders(place.root.path, dir_mode=0o700, file_mode=0o600)
    return capture.copy(source, place.parts, not_before_ns=order.not_before_ns)


async def _commit(stores: Stores, order: FinaliseArtifact, captured: Captured) -> ArtifactDone:
    record = ArtifactRecord(
        id=order.artifact_id,
        scope=order.scope,
        server=order.server,
        name=captured.name,
        stored_name=captured.stored_name,
        media_type=captured.media_type,
        size_bytes=captured.digest.size_bytes,
        sha256=captured.digest.sha256,
        created_ms=now_ms(),
        source_tool=order.tool,
        is_utf8=captured.digest.is_utf8,
        expose=order.expose,
    )
    stored = await commit(stores, order.scope, [record])
    return ArtifactDone(record=stored[0] if isinstance(stored[0], ArtifactRecord) else record)


async def _undo(stores: Stores, order: FinaliseArtifact) -> None:
    await _discard_staged(stores, order)
    await stores.blobs.remove_folder(artifact_parts(order.scope, order.artifact_id, "")[:-1])
    await stores.files.drop_pending(order.scope, order.artifact_id)


async def _discard_staged(stores: Stores, order: FinaliseArtifact) -> None:
    staged = [candidate.path for candidate in order.candidates if candidate.source == "staged"]
    await stores.blobs.discard(*map(staging_parts, staged))
