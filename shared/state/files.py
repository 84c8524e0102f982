"""Records of files: reserved, committed with their bytes, used, and dropped, by scripts that are all or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import NotFound, SessionGone
from shared.keys import Keys
from shared.lua import Script, Scripts
from shared.records import ArtifactRecord, FileRecord, decode_file, encode
from shared.state.link import RedisLink

_ALLOCATE = Script("allocate_pending")
_COMMIT = Script("commit_files")
_USE = Script("use_files")
_LIST = Script("list_files")
_DROP = Script("drop_file")
_DROP_PENDING = Script("drop_pending")
_KNOWN = Script("known_files")


@dataclass(frozen=True, slots=True)
class UsedBytes:
    """Bytes of finalised files."""

    scope: int
    total: int


class FileGone(NotFound):
    """One file of several is unknown, expired or another scope's; `file_id` says which."""

    def __init__(self, file_id: str) -> None:
        super().__init__("this file is unknown here or has expired; upload or create it again")
        self.file_id = file_id


class FileStore:
    """Typed access to the file scripts. One round trip a method; every one may raise StoreDown.

    A scope is a session id for now. Files of other scopes do not exist for a caller of one.
    """

    def __init__(self, scripts: Scripts, link: RedisLink, keys: Keys) -> None:
        self._scripts = scripts
        self._link = link
        self._keys = keys

    async def allocate_pending(self, scope: str, artifact_id: str, *, grace_ms: int) -> None:
        """Reserve the id of an artifact that a tool is about to write. Invisible; forgotten after the grace
        time unless committed. Raises SessionGone."""
        reserved = await self._scripts.run(
            _ALLOCATE, [self._keys.session(scope), self._keys.due()], [scope, artifact_id, grace_ms]
        )
        if not reserved:
            raise _session_gone()

    async def commit(self, scope: str, records: Sequence[FileRecord], *, ttl_ms: int) -> list[FileRecord]:
        """Make `records` visible, all or none, and charge their bytes. Safe to repeat: what was committed
        before stays as it was and is what this returns. `ttl_ms` 0: as long as the session. Raises SessionGone."""
        keys = self._keys
        triples = [field for record in records for field in (record.id, record.size_bytes, encode(record))]
        live, *stored = await self._scripts.run(
            _COMMIT,
            [keys.session(scope), keys.files(scope), keys.used_bytes(scope), keys.used_total(), keys.due()],
            [scope, ttl_ms, *triples],
        )
        if not live:
            raise _session_gone()
        return [decode_file(data) for data in stored]

    async def use(self, scope: str, ids: Sequence[str], *, ttl_ms: int) -> list[FileRecord]:
        """The files of `ids`, in order, each kept for `ttl_ms` from now on at least (0 touches nothing).

        All or none: raises FileGone for the first that is not there.
        """
        if not ids:
            return []
        keys = self._keys
        missing, *found = await self._scripts.run(
            _USE, [keys.files(scope), keys.due(), keys.leases(scope)], [scope, ttl_ms, *ids]
        )
        if missing:
            raise FileGone(ids[missing - 1])
        return [decode_file(data) for data in found]

    async def get(self, scope: str, file_id: str) -> FileRecord:
        """One file, touching nothing. Raises FileGone."""
        return (await self.use(scope, [file_id], ttl_ms=0))[0]

    async def list_artifacts(self, scope: str) -> list[ArtifactRecord]:
        """The scope's artifacts, oldest first, touching nothing."""
        found = await self._scripts.run(_LIST, [self._keys.files(scope), self._keys.due()], [scope])
        records = [record for record in map(decode_file, found) if isinstance(record, ArtifactRecord)]
        return sorted(records, key=lambda record: (record.created_ms, record.id))

    async def drop(self, scope: str, file_id: str, *, only_due: bool = False) -> FileRecord | None:
        """Take one file's record away and give its bytes back; the file itself is the caller's to unlink.

        With `only_due` only past its end and while no call of its scope runs. None: nothing was dropped.
        """
        keys = self._keys
        record = await self._scripts.run(
            _DROP,
            [keys.files(scope), keys.used_bytes(scope), keys.used_total(), keys.due(), keys.leases(scope)],
            [scope, file_id, int(only_due)],
        )
        return None if record is None else decode_file(record)

    async def drop_pending(self, scope: str, artifact_id: str, *, only_due: bool = False) -> bool:
        """Forget a pending artifact, with `only_due` only past its grace time; False when there was nothing to."""
        return bool(
            await self._scripts.run(_DROP_PENDING, [self._keys.due()], [scope, artifact_id, int(only_due)])
        )

    async def known(self, scope: str, ids: Sequence[str]) -> list[bool]:
        """Of each id whether a file of it is there, expired or not, or pending."""
        known = await self._scripts.run(_KNOWN, [self._keys.files(scope), self._keys.due()], [scope, *ids])
        return [flag == 1 for flag in known]

    async def used(self, scope: str) -> UsedBytes:
        """What the counters say."""
        mine, total = await self._link.call("MGET", self._keys.used_bytes(scope), self._keys.used_total())
        return UsedBytes(scope=int(mine or 0), total=int(total or 0))

    async def is_live(self, scope: str) -> bool:
        """Whether the scope's session lives."""
        return bool(await self._link.call("HGET", self._keys.session(scope), "state") == b"live")


def _session_gone() -> SessionGone:
    return SessionGone("the session of this file has ended; start a new session with initialize")
