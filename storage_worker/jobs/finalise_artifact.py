"""Job that captures the files that a tool wrote as artifacts."""

from collections.abc import Iterable

from longshore.shared.clock import now_ms
from longshore.shared.errors import OverQuota, Refused
from longshore.shared.jobs import ArtifactDone, FinaliseArtifact, NothingFound
from longshore.shared.records import ArtifactRecord
from longshore.shared.storage.layout import artifact_parts, staging_parts
from longshore.storage_worker.capture.artifact_folder import Captured
from longshore.storage_worker.capture.collector import OutputCollector
from longshore.storage_worker.commit import commit
from longshore.storage_worker.job_runner import job
from longshore.storage_worker.stores import Stores


@job(FinaliseArtifact, timeout_s=120.0)
async def finalise_artifact(stores: Stores, order: FinaliseArtifact) -> ArtifactDone | NothingFound:
    """Capture the allowed files among the candidates and beside the injected path; commit as many as fit.

    File before record: a record never points at bytes that are not there. Repeatable at every line: committed records
    are returned, a file in an artifact's folder is found there again, a copy is made again under the same name, and the
    script charges once. A refusal leaves neither file nor reservation, and neither does NothingFound if the order is
    the last. Raises SessionGone, OverQuota, Unavailable, DiskFull.
    """
    # A second copy could be of another file; a file in an artifact's folder is the same each time.
    may_differ = any(candidate.source == "located" for candidate in order.candidates)
    done = await _find_committed(stores, order) if may_differ else None
    if done is None:
        collector = OutputCollector(stores.blobs.folders, order, stores.policy.capture_roots)
        try:
            await stores.blobs.run(collector.run)
            if collector.captured:
                done = await _commit(stores, order, collector)
            else:
                done = await _find_committed(stores, order)     # a concurrent run may have captured it already
        except Refused:
            await _roll_back(stores, order)
            raise
        if done is None:
            if order.is_last:
                await _roll_back(stores, order)
            return NothingFound(refusals=collector.refusals)
        await _discard_uncommitted(stores, order, collector.captured, done)
    await _discard_staged(stores, order)
    return done


async def _find_committed(stores: Stores, order: FinaliseArtifact) -> ArtifactDone | None:
    """Records that an earlier run committed, all of them at once."""
    found = await stores.files.find(order.scope, _possible_ids(order))
    records = [record for record in found if isinstance(record, ArtifactRecord)]
    return ArtifactDone(record=records[0], more=records[1:]) if records else None


async def _commit(stores: Stores, order: FinaliseArtifact, collector: OutputCollector) -> ArtifactDone:
    """Commit the captured files, leaving out the last ones if there is no room for all."""
    records = [_record(order, artifact_id, captured) for artifact_id, captured in collector.captured.items()]
    refusals = list(collector.sure_refusals)
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


async def _discard_uncommitted(
    stores: Stores, order: FinaliseArtifact, captured: Iterable[str], done: ArtifactDone
) -> None:
    """Remove the captured files that were not committed."""
    kept = {done.record.id, *(record.id for record in done.more)}
    is_reserved = any(candidate.source == "injected" for candidate in order.candidates)
    unused = {*captured, *([order.artifact_id] if is_reserved else [])} - kept
    if unused:
        concurrent = await stores.files.find(order.scope, list(unused))     # committed by a concurrent run
        unused -= {record.id for record in concurrent}
    await _discard_artifacts(stores, order, unused)


async def _roll_back(stores: Stores, order: FinaliseArtifact) -> None:
    """Remove all files of the order, except those that an earlier run committed: an expired session keeps its files."""
    await _discard_staged(stores, order)
    kept = {record.id for record in await stores.files.find(order.scope, _possible_ids(order))}
    await _discard_artifacts(stores, order, {*_possible_ids(order)} - kept)


async def _discard_artifacts(stores: Stores, order: FinaliseArtifact, ids: set[str]) -> None:
    for artifact_id in ids:
        await stores.blobs.remove_folder(artifact_parts(order.scope, artifact_id, "")[:-1])
    if order.artifact_id in ids:
        await stores.files.drop_pending(order.scope, order.artifact_id)


def _possible_ids(order: FinaliseArtifact) -> list[str]:
    """Every artifact id that a file of the order may have, in the order of the search."""
    candidates = [candidate.artifact_id for candidate in order.candidates if candidate.artifact_id]
    return [order.artifact_id, *candidates, *order.spare_ids]


async def _discard_staged(stores: Stores, order: FinaliseArtifact) -> None:
    staged = [candidate.path for candidate in order.candidates if candidate.source == "staged"]
    await stores.blobs.discard(*map(staging_parts, staged))
