"""Bringing files in storage back into Redis: what became of it, and the script that does it."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from longshore.shared.errors import Unavailable
from longshore.shared.keys import Keys
from longshore.shared.records import ArtifactRecord, FileRecord, Record, encode
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script, Scripts
from longshore.shared.state.quota import NO_LIMITS, FileLimits

_RESTORE = Script("restore_files")

# What a session is given whose own parameters are lost: the upstream is asked anew when a call needs it.
UNKNOWN_UPSTREAM = "t?"      # see gateway.mcp.capabilities
_INIT_PARAMS = (
    b'{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"longshore","version":"1"}}'
)


class Reconciled(Record, frozen=True, kw_only=True, tag=10):
    """One pass over the storage. Written by the worker that does it, read by gateways for /healthz and by
    workers, which sweep nothing before there is a finished one. Lives as long as the Redis it tells about.
    """

    begun_ms: int            # since the epoch
    finished_ms: int = 0     # 0: it is under way
    restored_uploads: int = 0
    restored_artifacts: int = 0
    unattributed: int = 0    # files whose server cannot be told, or whose session may not be revived
    ambiguous: int = 0       # what is not one plain file in a folder of an id
    ended: int = 0           # files of sessions that have ended: the sweep removes them
    unreadable: int = 0      # files that could not be read


_decoder = msgspec.msgpack.Decoder(Reconciled)


@dataclass(frozen=True, slots=True)
class Hint:
    """What Redis knows of the session that a file lies under."""

    server: str
    is_open: bool            # live, or resting until somebody comes back


async def last_pass(link: RedisLink, keys: Keys) -> Reconciled | None:
    """The last pass over this Redis' storage, finished or not; None when there was none. Raises StoreDown."""
    stored = await link.call("GET", keys.reconciliation())
    if stored is None:
        return None
    try:
        return _decoder.decode(stored)
    except msgspec.ValidationError as err:
        raise Unavailable("reconciliation was done by a newer longshore; upgrade this one") from err


class ReconciliationStore:
    """Typed access to what reconciliation keeps. One round trip a method; every one may raise StoreDown."""

    def __init__(self, scripts: Scripts, link: RedisLink, keys: Keys, limits: FileLimits = NO_LIMITS) -> None:
        self._scripts = scripts
        self._link = link
        self._keys = keys
        self._limits = limits

    async def last(self) -> Reconciled | None:
        """The last pass, as `last_pass` has it."""
        return await last_pass(self._link, self._keys)

    async def save(self, result: Reconciled) -> None:
        """Tell gateways and workers."""
        await self._link.call("SET", self._keys.reconciliation(), encode(result))

    async def session_hint(self, scope: str) -> Hint | None:
        """What is known of this session; None: nothing."""
        state, server = await self._link.call("HMGET", self._keys.session(scope), "state", "server")
        if state is None or server is None:
            return None
        return Hint(server=server.decode(), is_open=state in (b"live", b"expired"))

    async def restore(self, scope: str, server: str, records: Sequence[FileRecord], *, tombstone_ms: int) -> int | None:
        """Make `records` visible and charge their bytes, beyond any limit: they are on the volume already.

        Those that are there stay as they are. A session that is unknown rests for `rest_ms`, bound to nobody.
        How many were restored; None when the session has ended or is another server's. Safe to repeat.
        """
        keys = self._keys
        taken, *restored = await self._scripts.run(
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
