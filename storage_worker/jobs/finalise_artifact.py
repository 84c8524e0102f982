"""The job that captures the files a tool wrote."""

from longshore.shared.clock import now_ms
from longshore.shared.errors import OverQuota, Refused
from longshore.shared.jobs import ArtifactDone, FinaliseArtifact, NothingFound
from longshore.shared.records import ArtifactRecord
from longshore.shared.storage.folders import Folders
from longshore.shared.storage.layout import artifact_parts, staging_parts
from longshore.shared.storage.moves import remove_folder
from longshore.storage_worker.capture.artifact_folder import Captured
from longshore.storage_worker.capture.collector import OutputCollector
from longshore.storage_worker.commit import commit
from longshore.storage_worker.job_runner import job
from longshore.storage_worker.stores import Stores


@job(FinaliseArtifact, timeout_s=120.0)
async def finalise_artifact(stores: Stores, order: FinaliseArtifact) -> ArtifactDone | NothingFound:
    """Capture what is there and allowed of the candidates and beside the injected path; commit as many as fit.

    File before record: a record never points at bytes that are not there. Repeatable at every line: what
    was committed is returned, what lies in an artifact's folder is found there again, a copy is made
    again under the same name, and the script charges once. A refusal and NothingFound leave neither file
    nor reservation, but where the order is not the last. Raises SessionGone, OverQuota, Unavailable, DiskFull.
    """
    # A copy made again could be of another file; what lies in an artifact's folder already is the same each time.
    may_differ = any(candidate.source == "located" for candidate in order.candidates)
    done = await _committed(stores, order) if may_differ else None
    if done is None:
        found = OutputCollector(stores.blobs.folders, order, stores.policy.capture_roots)
        try:
            await stores.blobs.run(found.run)
            # Nothing here may also mean that a run beside this one has taken it already.
            done = await _commit(stores, order, found) if found.captured else await _committed(stores, order)
        except Refused:
            await _undo(stores, order)
            raise
        if done is None:
            if order.is_last:
                await _undo(stores, order)
            return NothingFound(refusals=found.refusals)
        await _tidy(stores, order, found, done)
    await _discard_staged(stores, order)
    return done


async def _committed(stores: Stores, order: FinaliseArtifact) -> ArtifactDone | None:
    """What an earlier run has committed, which it did with all of it at once."""
    found = await stores.files.find(order.scope, _ids(order))
    records = [record for record in found if isinstance(record, ArtifactRecord)]
    return ArtifactDone(record=records[0], more=records[1:]) if records else None


async def _commit(stores: Stores, order: FinaliseArtifact, found: OutputCollector) -> ArtifactDone:
    """Commit the files, without the last ones where there is no room for all."""
    records = [_record(order, artifact_id, captured) for artifact_id, captured in found.captured.items()]
    refusals = list(found.sure_refusals)
    while True:
        try:
            kept = [r for r in await commit(stores, order.scope, records) if isinstance(r, ArtifactRecord)]
        except OverQuota as err:
            if len(records) == 1:
                raise
            refusals.append(f"{records.pop().name}: {err}")
            continue
        return ArtifactDone(record=kept[0], more=kept[1:], refusals=refusals)


def _record(order: FinaliseArtifact, artifact_id: str, captured: Captured) -> ArtifactRecord:
    return ArtifactRecord(
        id=artifact_id,
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


async def _tidy(stores: Stores, order: FinaliseArtifact, found: OutputCollector, done: ArtifactDone) -> None:
    """Leave nothing of what was found and not kept."""
    kept = {done.record.id, *(record.id for record in done.more)}
    is_reserved = any(candidate.source == "injected" for candidate in order.candidates)
    lost = {*found.captured, *([order.artifact_id] if is_reserved else [])} - kept
    if lost:
        lost -= {record.id for record in await stores.files.find(order.scope, list(lost))}   # by a run beside this one
    await _forget(stores, order, lost)


async def _undo(stores: Stores, order: FinaliseArtifact) -> None:
    """Leave nothing of the order but what an earlier run committed: a session that rests keeps its files."""
    await _discard_staged(stores, order)
    kept = {record.id for record in await stores.files.find(order.scope, _ids(order))}
    await _forget(stores, order, {*_ids(order)} - kept)


async def _forget(stores: Stores, order: FinaliseArtifact, ids: set[str]) -> None:
    folders = [artifact_parts(order.scope, artifact_id, "")[:-1] for artifact_id in ids]
    if folders:
        await stores.blobs.run(_remove, stores.blobs.folders, folders)
    if order.artifact_id in ids:
        await stores.files.drop_pending(order.scope, order.artifact_id)


def _remove(folders: Folders, places: list[tuple[str, ...]]) -> None:
    for parts in places:
        remove_folder(folders, parts)


def _ids(order: FinaliseArtifact) -> list[str]:
    """Every id that a file of the order may have, in the order of the search."""
    candidates = [candidate.artifact_id for candidate in order.candidates if candidate.artifact_id]
    return [order.artifact_id, *candidates, *order.spare_ids]


async def _discard_staged(stores: Stores, order: FinaliseArtifact) -> None:
    staged = [candidate.path for candidate in order.candidates if candidate.source == "staged"]
    await stores.blobs.discard(*map(staging_parts, staged))
