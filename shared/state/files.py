"""File records: reserved, committed and charged, used, listed and dropped. Each script is all or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from longshore.shared.errors import BadRequest, NotFound, OverQuota, SessionGone, TooManyArtifacts
from longshore.shared.keys import Keys
from longshore.shared.messaging.debounced_notices import ArtifactListNotifier
from longshore.shared.records import ArtifactRecord, FileRecord, decode_file, encode
from longshore.shared.redis.connection import RedisLink, Reply
from longshore.shared.redis.scripts import Script
from longshore.shared.state.quota import NO_LIMITS, FileLimits

_ALLOCATE = Script("reserve_artifact_id")
_COMMIT = Script("commit_files")
_USE = Script("use_files")
_RENEW = Script("renew_uses")
_LIST = Script("list_artifacts")
_DROP = Script("drop_file")
_DROP_PENDING = Script("drop_pending")
_KNOWN = Script("which_files_exist")

_TOUCH_NOTHING = -1
_AN_ARTIFACT = 2             # result of the script drop_file
_MAX_BYTES = 2**53 - 1       # above, the numbers of a script are not exact


@dataclass(frozen=True, slots=True)
class UsedBytes:
    """Bytes of finalised files."""

    scope: int
    total: int


@dataclass(frozen=True, slots=True)
class Commit:
    """Result of a commit. The caller unlinks the files of `evicted`, whose records are gone."""

    stored: list[FileRecord]
    evicted: list[FileRecord] = field(default_factory=list)
    is_done: bool = True             # False: some files were evicted; run the same commit again


class FileGone(NotFound):
    """Unknown or expired file, or one of another scope; `file_id` names it."""

    def __init__(self, file_id: str) -> None:
        super().__init__("this file is unknown here or has expired; upload or create it again")
        self.file_id = file_id


class FileStore:
    """Typed access to the file scripts. One round trip per method; every one may raise StoreDown.

    A scope is a session id. A caller of one scope never sees files of another.
    """

    def __init__(self, link: RedisLink, keys: Keys, limits: FileLimits = NO_LIMITS) -> None:
        self._link = link
        self._keys = keys
        self._limits = limits
        self._notices = ArtifactListNotifier(link, keys)

    async def allocate_pending(self, scope: str, artifact_id: str, *, grace_ms: int) -> None:
        """Reserve the id of an artifact that a tool will write. Raises SessionGone.

        It stays invisible, and is removed after the grace time unless committed.
        """
        reserved = await self._link.run(
            _ALLOCATE, [self._keys.session(scope), self._keys.due()], [scope, artifact_id, grace_ms, 0]
        )
        if not reserved:
            raise _session_gone()

    async def renew_pending(self, scope: str, artifact_id: str, *, grace_ms: int) -> None:
        """Restart the grace time of a reserved id whose tool still runs; does nothing for any other id."""
        await self._link.run(
            _ALLOCATE, [self._keys.session(scope), self._keys.due()], [scope, artifact_id, grace_ms, 1]
        )

    async def commit(
        self, scope: str, records: Sequence[FileRecord], *, ttl_ms: int | None = None, reservation: str = ""
    ) -> Commit:
        """Commit `records`, all or none, charge their bytes, and evict the least recently used files above the limits.

        Files that a call uses are not evicted. Safe to repeat: a record that was committed before is returned
        unchanged. `ttl_ms` replaces the configured times; 0: as long as the session. The commit ends `reservation`;
        the reservations of others count as bytes in use. Raises SessionGone, OverQuota; NotFound for a file that was
        committed and dropped since.
        """
        keys, limits = self._keys, self._limits
        status, *rest = await self._link.run(
            _COMMIT,
            [
                keys.session(scope), keys.files(scope), keys.used_bytes(scope), keys.used_total(), keys.due(),
                keys.upload_ends(), keys.artifact_ends(), keys.reserved(scope), keys.reserved_total(),
            ],
            [
                scope, *(-1 if limit is None else limit for limit in (*limits.budgets, limits.session_artifacts)),
                "u" if limits.evicts_uploads_first else "a", keys.files(""), keys.used_bytes(""), keys.files_in_use(""),
                keys.dropped(""), reservation,
                *(field for record in records for field in _fields(record, limits, ttl_ms)),
            ],
        )
        if status == 0:
            raise _session_gone()
        if status == 4:
            raise NotFound("this file was taken, and has gone again since; send it again")
        if status == 2:
            raise _no_room(records, *rest)
        done = (
            Commit([], evicted=_decoded(rest[0]), is_done=False) if status == 3
            else Commit(_decoded(rest[0]), evicted=_decoded(rest[1]))
        )
        self._notify((*done.stored, *done.evicted))
        return done

    def _notify(self, records: Sequence[FileRecord]) -> None:
        """Schedule list-changed events for the scopes of exposed artifacts among `records`."""
        for changed in {record.scope for record in records if isinstance(record, ArtifactRecord) and record.expose}:
            self._notices.schedule(changed)

    async def use(
        self, scope: str, ids: Sequence[str], *, lease: str = "", ttl_ms: int | None = None
    ) -> list[FileRecord]:
        """Return the files of `ids` in order and restart the time to live of each (`ttl_ms` in its place).

        With `lease` the call also holds them: they are neither expired nor evicted until `release_uses` or until the
        lease lapses; `renew_uses` renews it. All or none: raises FileGone for the first that does not exist.
        """
        limits = self._limits
        ttls = (limits.upload_ttl_ms, limits.artifact_ttl_ms) if ttl_ms is None else (ttl_ms, ttl_ms)
        return await self._use(scope, ids, ttls, lease)

    async def get(self, scope: str, file_id: str) -> FileRecord:
        """Return one file without restarting its time to live. Raises FileGone."""
        return (await self._use(scope, [file_id], (_TOUCH_NOTHING, _TOUCH_NOTHING), ""))[0]

    async def find(self, scope: str, ids: Sequence[str]) -> list[FileRecord]:
        """Return the files of `ids` that have a record, expired or not, in order, without restarting their times."""
        found = await self._link.call("HMGET", self._keys.files(scope), *ids) if ids else []
        return _decoded([data for data in found if data is not None])

    async def _use(self, scope: str, ids: Sequence[str], ttls: tuple[int, int], lease: str) -> list[FileRecord]:
        if not ids:
            return []
        keys = self._keys
        missing, *found = await self._link.run(
            _USE,
            [keys.files(scope), keys.upload_ends(), keys.artifact_ends(), keys.files_in_use(scope)],
            [scope, *ttls, lease, self._limits.lease_ms, *ids],
        )
        if missing:
            raise FileGone(ids[missing - 1])
        return _decoded(found)

    async def renew_uses(self, scope: str, lease: str, ids: Sequence[str]) -> None:
        """Renew the hold of a running call on its files."""
        if ids:
            members = [f"{file_id}:{lease}" for file_id in ids]
            await self._link.run(_RENEW, [self._keys.files_in_use(scope)], [self._limits.lease_ms, *members])

    def release_uses(self, scope: str, lease: str, ids: Sequence[str]) -> None:
        """Release the hold of a call on its files. Does not wait; safe to repeat."""
        if ids:
            self._link.send_nowait("ZREM", self._keys.files_in_use(scope), *(f"{file_id}:{lease}" for file_id in ids))

    async def list_artifacts(self, scope: str) -> list[ArtifactRecord]:
        """Return the scope's artifacts, oldest first, without restarting their times."""
        keys = self._keys
        found = await self._link.run(
            _LIST, [keys.files(scope), keys.artifact_ends(), keys.files_in_use(scope)], [scope]
        )
        records = [record for record in _decoded(found) if isinstance(record, ArtifactRecord)]
        return sorted(records, key=lambda record: (record.created_ms, record.id))

    async def drop(self, scope: str, file_id: str, *, only_due: bool = False) -> bool:
        """Drop a file's record and uncharge its bytes; the caller unlinks the file. False if nothing was dropped.

        With `only_due` only if it has expired and no call uses it.
        """
        keys = self._keys
        dropped = await self._link.run(
            _DROP,
            [
                keys.files(scope), keys.used_bytes(scope), keys.used_total(), keys.upload_ends(),
                keys.artifact_ends(), keys.files_in_use(scope), keys.dropped(scope),
            ],
            [scope, file_id, int(only_due)],
        )
        if dropped == _AN_ARTIFACT:
            self._notices.schedule(scope)
        return bool(dropped)

    async def drop_pending(self, scope: str, artifact_id: str, *, only_due: bool = False) -> bool:
        """Remove a reserved artifact id, with `only_due` only past its grace time; False if there was none."""
        return bool(
            await self._link.run(_DROP_PENDING, [self._keys.due()], [scope, artifact_id, int(only_due)])
        )

    async def which_exist(self, scope: str, ids: Sequence[str]) -> list[bool]:
        """Return of each id whether a file, expired or not, or a reserved artifact has it."""
        known = await self._link.run(_KNOWN, [self._keys.files(scope), self._keys.due()], [scope, *ids])
        return [flag == 1 for flag in known]

    async def used_bytes(self, scope: str) -> UsedBytes:
        """Return the counters of charged bytes."""
        mine, total = await self._link.call("MGET", self._keys.used_bytes(scope), self._keys.used_total())
        return UsedBytes(scope=int(mine or 0), total=int(total or 0))

    async def is_live(self, scope: str) -> bool:
        """Return True if the scope's session is live."""
        return bool(await self._link.call("HGET", self._keys.session(scope), "state") == b"live")


def _fields(record: FileRecord, limits: FileLimits, ttl_ms: int | None) -> tuple[str | int | bytes, ...]:
    """Return the script arguments of a record. Raises BadRequest for an impossible size."""
    if not 0 <= record.size_bytes <= _MAX_BYTES:
        raise BadRequest(f"a file cannot have {record.size_bytes} bytes")
    kind = "a" if isinstance(record, ArtifactRecord) else "u"
    lives_ms = limits.ttl_ms(record) if ttl_ms is None else ttl_ms
    return kind, record.id, lives_ms, record.size_bytes, encode(record)


def _decoded(found: list[bytes]) -> list[FileRecord]:
    return [decode_file(data) for data in found]


def _no_room(records: Sequence[FileRecord], limit: int, used: Reply, budget: Reply) -> OverQuota:
    if limit == 3:
        return TooManyArtifacts(limit=budget)
    size_bytes = sum(record.size_bytes for record in records)
    return OverQuota(size_bytes=size_bytes, used_bytes=used, budget_bytes=budget)


def _session_gone() -> SessionGone:
    return SessionGone("the session of this file has ended; start a new session with initialize")
