"""The job that makes files in storage records again, after their Redis was lost."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

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
from longshore.storage_worker.sweeping.unrecorded_files import Contents, UnrecordedFile, contents, walk

log = structlog.get_logger(__name__)

_SLICE = 200
_GRACE_NS = 60_000_000_000   # a job that brings a file in may take so long from the file to its record


def reconcile_with(store: ReconciliationStore, attribution: Attribution) -> Job[Reconcile]:
    """The job, as the configuration wants it done."""

    @job(Reconcile, timeout_s=6 * 3600.0, keep_result_s=0)
    async def reconcile(stores: Stores, _order: Reconcile) -> CycleDone:
        """Restore the record of every file whose session tells its server, or that can only be one server's.

        What cannot be told stays where it is and is counted. Goes through the volume in slices and reads one
        file at a time, so that its memory and its load do not grow with what exists. Repeatable at every line:
        a file with a record is passed over, and the script charges once. Raises Unavailable.
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
    before_ns: int           # when it began, by the volume's clock

    async def run(self) -> None:
        begun_ms = now_ms()
        await self.store.save(Reconciled(begun_ms=begun_ms))
        counts: Counter[str] = Counter()
        strays = walk(self.stores.blobs.folders)
        while found := await self.stores.blobs.run(_next, strays):
            for scope, mine in _by_scope(found).items():
                counts += await self._scope(scope, mine)
        await self.store.save(Reconciled(begun_ms=begun_ms, finished_ms=now_ms(), **counts))
        log.info("reconciled", **counts)

    async def _scope(self, scope: str, found: list[UnrecordedFile]) -> Counter[str]:
        """Restore what has no record among `found`, all of one scope. What is just coming in is passed over."""
        whole = [stray for stray in found if stray.file_id]
        counts = Counter(ambiguous=len(found) - len(whole))
        known = await self.stores.files.which_exist(scope, [stray.file_id for stray in whole]) if whole else []
        lost = [stray for stray, there in zip(whole, known, strict=True) if not there]
        if not lost:
            return counts
        hint = await self.store.session_hint(scope)
        settled_ns = self.before_ns if hint is None else self.before_ns - _GRACE_NS
        lost = [stray for stray in lost if stray.changed_ns < settled_ns]
        server = self.attribution.server_of(hint)
        if server is None:
            counts["ended" if hint is not None and not hint.is_open else "unattributed"] += len(lost)
            return counts
        for stray in lost:
            counts[await self._restore(stray, server)] += 1
        return counts

    async def _restore(self, stray: UnrecordedFile, server: str) -> str:
        """Restore one file. What it counts as."""
        blobs = self.stores.blobs
        try:
            found = await blobs.run(contents, blobs.folders, stray)
        except LongshoreError as err:
            log.warning("stray_unreadable", scope=stray.scope, file_id=stray.file_id, reason=err.reason)
            return "unreadable"
        if found is None:
            return "ambiguous"
        record = _record(stray, server, found, expose=self.attribution.expose)
        done = await self.store.restore(stray.scope, server, [record], tombstone_ms=self.attribution.rest_ms)
        if done is None:
            return "ended"  # meanwhile
        return "restored_uploads" if stray.top == UPLOADS else "restored_artifacts"


def _next(strays: Iterator[UnrecordedFile]) -> list[UnrecordedFile]:
    return list(islice(strays, _SLICE))


def _by_scope(found: list[UnrecordedFile]) -> dict[str, list[UnrecordedFile]]:
    by_scope: defaultdict[str, list[UnrecordedFile]] = defaultdict(list)
    for stray in found:
        by_scope[stray.scope].append(stray)
    return by_scope


def _record(stray: UnrecordedFile, server: str, found: Contents, *, expose: bool) -> FileRecord:
    if stray.top == UPLOADS:
        return UploadRecord(
            id=stray.file_id,
            scope=stray.scope,
            server=server,
            name=found.name,
            stored_name=found.name,
            media_type=found.media_type,
            size_bytes=found.digest.size_bytes,
            sha256=found.digest.sha256,
            created_ms=found.changed_ms,
        )
    return ArtifactRecord(
        id=stray.file_id,
        scope=stray.scope,
        server=server,
        name=found.name,
        stored_name=found.name,
        media_type=found.media_type,
        size_bytes=found.digest.size_bytes,
        sha256=found.digest.sha256,
        created_ms=found.changed_ms,
        source_tool="",
        is_utf8=found.digest.is_utf8,
        expose=expose,
    )
