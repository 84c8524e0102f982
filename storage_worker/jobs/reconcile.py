"""Job that restores the records of files in storage after Redis lost them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from longshore.shared.clock import now_ms
from longshore.shared.errors import LongshoreError
from longshore.shared.jobs import CycleDone, Reconcile
from longshore.shared.records import ArtifactRecord, FileRecord, UploadRecord
from longshore.shared.state.reconciliation import Reconciled, ReconciliationStore
from longshore.shared.storage.layout import UPLOADS
from longshore.storage_worker.job_runner import Job, job
from longshore.storage_worker.stores import Stores
from longshore.storage_worker.sweeping.attribution import Attribution
from longshore.storage_worker.sweeping.entries import slices_by_scope
from longshore.storage_worker.sweeping.unrecorded_files import Contents, UnrecordedFile, find_unrecorded, read_contents

log = structlog.get_logger(__name__)

_GRACE_NS = 60_000_000_000   # the longest time in which a job moves a file in and commits its record


def reconcile_with(store: ReconciliationStore, attribution: Attribution) -> Job[Reconcile]:
    """Job that follows the configuration's `attribution`."""

    @job(Reconcile, timeout_s=6 * 3600.0, keep_result_s=0)
    async def reconcile(stores: Stores, _order: Reconcile) -> CycleDone:
        """Restore the record of every file whose server is known from its session or can only be one.

        Other files stay where they are and are counted. Reads one file at a time, a slice of the volume at a time.
        Repeatable at every line: a file with a record is skipped, and the script charges once. Raises Unavailable.
        """
        last = await store.last()
        if attribution.mode == "always" or last is None or not last.finished_ms:
            await _Pass(stores, store, attribution, await stores.blobs.volume_time_ns()).run()
        return CycleDone(removed={})

    return reconcile


@dataclass(frozen=True, slots=True)
class _Pass:
    """One walk through the storage."""

    stores: Stores
    store: ReconciliationStore
    attribution: Attribution
    started_ns: int          # by the volume's clock

    async def run(self) -> None:
        begun_ms = now_ms()
        await self.store.save(Reconciled(begun_ms=begun_ms))
        counts: Counter[str] = Counter()
        files = find_unrecorded(self.stores.blobs.folders)
        async for by_scope in slices_by_scope(self.stores.blobs, files):
            for scope, mine in by_scope.items():
                counts += await self._restore_scope(scope, mine)
        await self.store.save(Reconciled(begun_ms=begun_ms, finished_ms=now_ms(), **counts))
        log.info("reconciled", **counts)

    async def _restore_scope(self, scope: str, found: list[UnrecordedFile]) -> Counter[str]:
        """Restore the missing records of `found`, all of one scope. Files that are just being moved in are skipped."""
        files = [file for file in found if file.file_id]
        counts = Counter(ambiguous=len(found) - len(files))
        known = await self.stores.files.which_exist(scope, [file.file_id for file in files]) if files else []
        lost = [file for file, is_known in zip(files, known, strict=True) if not is_known]
        if not lost:
            return counts
        hint = await self.store.session_hint(scope)
        settled_ns = self.started_ns if hint is None else self.started_ns - _GRACE_NS
        lost = [file for file in lost if file.changed_ns < settled_ns]
        server = self.attribution.server_of(hint)
        if server is None:
            counts["ended" if hint is not None and not hint.is_open else "unattributed"] += len(lost)
            return counts
        for file in lost:
            counts[await self._restore(file, server)] += 1
        return counts

    async def _restore(self, file: UnrecordedFile, server: str) -> str:
        """Restore one record. Returns the count that it belongs to."""
        blobs = self.stores.blobs
        try:
            contents = await blobs.run(read_contents, blobs.folders, file)
        except LongshoreError as err:
            log.warning("stray_unreadable", scope=file.scope, file_id=file.file_id, reason=err.reason)
            return "unreadable"
        if contents is None:
            return "ambiguous"
        record = _record(file, server, contents, expose=self.attribution.expose_artifacts)
        restored = await self.store.restore(
            file.scope, server, [record], tombstone_ms=self.attribution.tombstone_ms
        )
        if restored is None:
            return "ended"  # meanwhile
        return "restored_uploads" if file.top == UPLOADS else "restored_artifacts"


def _record(file: UnrecordedFile, server: str, contents: Contents, *, expose: bool) -> FileRecord:
    artifact = partial(ArtifactRecord, source_tool="", is_utf8=contents.digest.is_utf8, expose=expose)
    record: Callable[..., FileRecord] = UploadRecord if file.top == UPLOADS else artifact
    return record(
        id=file.file_id,
        scope=file.scope,
        server=server,
        name=contents.name,
        stored_name=contents.name,
        media_type=contents.media_type,
        size_bytes=contents.digest.size_bytes,
        sha256=contents.digest.sha256,
        created_ms=contents.changed_ms,
    )
