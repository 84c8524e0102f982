"""Reconciliation: restores records of files in storage that Redis has lost, and keeps the result of each pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from longshore.shared.errors import Unavailable
from longshore.shared.keys import Keys
from longshore.shared.records import ArtifactRecord, FileRecord, Record, encode
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script
from longshore.shared.state.quota import NO_LIMITS, FileLimits
from longshore.shared.version import OWN_INFO

_RESTORE = Script("restore_files")

# Parameters of a restored session. The upstream's capabilities are requested again when a call needs them.
UNKNOWN_UPSTREAM = "t?"      # see gateway.mcp.capabilities
_INIT_PARAMS = msgspec.json.encode({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": OWN_INFO})


class Reconciled(Record, frozen=True, kw_only=True, tag=10):
    """Result of one pass over the storage.

    Written by the worker that does it, read by gateways for /healthz and by workers, which sweep nothing before a
    pass has finished. Never expires.
    """

    begun_ms: int            # since the epoch
    finished_ms: int = 0     # 0: in progress
    restored_uploads: int = 0
    restored_artifacts: int = 0
    unattributed: int = 0    # files whose server is unknown, or whose session may not be revived
    ambiguous: int = 0       # folders that do not hold exactly one plain file
    ended: int = 0           # files of sessions that have ended: the sweep removes them
    unreadable: int = 0      # files that could not be read


_decoder = msgspec.msgpack.Decoder(Reconciled)


@dataclass(frozen=True, slots=True)
class Hint:
    """Server and state of the session of a file in storage, as Redis knows them."""

    server: str
    is_open: bool            # live, or expired and may be revived


async def last_pass(link: RedisLink, keys: Keys) -> Reconciled | None:
    """Return the last pass, finished or not; None when there was none. Raises StoreDown."""
    stored = await link.call("GET", keys.reconciliation())
    if stored is None:
        return None
    try:
        return _decoder.decode(stored)
    except msgspec.ValidationError as err:
        raise Unavailable("reconciliation was done by a newer longshore; upgrade this one") from err


class ReconciliationStore:
    """Typed access to reconciliation. One round trip per method; every one may raise StoreDown."""

    def __init__(self, link: RedisLink, keys: Keys, limits: FileLimits = NO_LIMITS) -> None:
        self._link = link
        self._keys = keys
        self._limits = limits

    async def last(self) -> Reconciled | None:
        """Return the last pass, as `last_pass` does."""
        return await last_pass(self._link, self._keys)

    async def save(self, result: Reconciled) -> None:
        """Save the result for gateways and workers."""
        await self._link.call("SET", self._keys.reconciliation(), encode(result))

    async def session_hint(self, scope: str) -> Hint | None:
        """Return server and state of this session; None when it is unknown."""
        state, server = await self._link.call("HMGET", self._keys.session(scope), "state", "server")
        if state is None or server is None:
            return None
        return Hint(server=server.decode(), is_open=state in (b"live", b"expired"))

    async def restore(self, scope: str, server: str, records: Sequence[FileRecord], *, tombstone_ms: int) -> int | None:
        """Restore missing `records` and charge their bytes, even above the limits. Safe to repeat.

        An unknown session is created as an expired one without principal, for `tombstone_ms`. Returns the number of
        restored records; None when the session has ended or belongs to another server.
        """
        keys = self._keys
        taken, *restored = await self._link.run(
            _RESTORE,
            [
                keys.session(scope), keys.files(scope), keys.used_bytes(scope), keys.used_total(), keys.due(),
                keys.upload_ends(), keys.artifact_ends(),
            ],
            [
                scope, server, UNKNOWN_UPSTREAM, _INIT_PARAMS, tombstone_ms,
                *(field for record in records for field in self._fields(record)),
            ],
        )
        return int(restored[0]) if taken else None

    def _fields(self, record: FileRecord) -> tuple[str | int | bytes, ...]:
        kind = "a" if isinstance(record, ArtifactRecord) else "u"
        return kind, record.id, self._limits.ttl_ms(record), record.size_bytes, encode(record)
