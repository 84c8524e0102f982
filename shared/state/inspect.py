"""Read-only views of sessions and their files. Nothing here changes a session or prolongs its life."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from longshore.shared.keys import Keys
from longshore.shared.records import FileRecord, decode_file
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script

_SNAPSHOT = Script("session_snapshot")
_PAGE = Script("list_sessions")

_PAGE_SIZE = 100               # sessions; small enough that Redis is not blocked for long


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """Snapshot of one session. Times in ms since the epoch, by Redis' clock."""

    session_id: str
    state: str               # live; expired: may be revived; ended; invalidated
    server: str
    principal: str           # "": none yet, the session was restored from its files
    protocol: str
    reason: str              # why it ended
    created_ms: int
    touched_ms: int          # last used by its client; 0: never
    due_ms: int | None       # when its state changes by itself at the earliest, unless it is used; None: never
    in_flight: int
    streams: int
    files: int
    bytes: int


class Inspector:
    """Typed access to the read-only scripts. May raise StoreDown."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def session(self, session_id: str) -> SessionView | None:
        """Return one session in any state; None when it is unknown."""
        keys = self._keys
        found = await self._link.run(
            _SNAPSHOT,
            [
                keys.session(session_id), keys.leases(session_id), keys.streams(session_id), keys.files(session_id),
                keys.used_bytes(session_id), keys.due(),
            ],
            [session_id],
        )
        if not found:
            return None
        state, server, principal, protocol, reason = (word.decode() for word in found[:5])
        created, touched, due = (int(float(number)) if number else 0 for number in found[5:8])
        in_flight, streams, files, used = found[8:]
        return SessionView(
            session_id=session_id, state=state, server=server, principal=principal, protocol=protocol, reason=reason,
            created_ms=created, touched_ms=touched, due_ms=due or None, in_flight=in_flight, streams=streams,
            files=files, bytes=used,
        )

    async def now_ms(self) -> int:
        """Return the time of Redis' clock."""
        seconds, micros = await self._link.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def live(self) -> AsyncIterator[SessionView]:
        """Yield the sessions that are live now, oldest first. One that ends meanwhile may be missing."""
        now_ms = await self.now_ms()
        last: tuple[bytes | str, bytes | str] = ("", "")
        while page := await self._link.run(_PAGE, [self._keys.sessions()], [*last, _PAGE_SIZE]):
            ids = [name.decode() for name in page[::2]]
            for view in await asyncio.gather(*map(self.session, ids)):
                if view is not None and view.state == "live" and view.created_ms <= now_ms:
                    yield view
            if int(float(page[-1])) > now_ms:
                return
            last = (page[-1], page[-2])

    async def expired(self) -> AsyncIterator[SessionView]:
        """Yield the expired sessions that may be revived, in no order, some twice."""
        cursor = b"0"
        while True:
            cursor, found = await self._link.call(
                "ZSCAN", self._keys.due(), cursor, "MATCH", "t:*", "COUNT", 10 * _PAGE_SIZE
            )
            ids = [member.decode().partition(":")[2] for member in found[::2]]
            for view in await asyncio.gather(*map(self.session, ids)):
                if view is not None and view.state == "expired":
                    yield view
            if cursor == b"0":
                return

    async def files(self, session_id: str) -> list[FileRecord]:
        """Return the files of a session, oldest first."""
        stored = await self._link.call("HVALS", self._keys.files(session_id))
        return sorted(map(decode_file, stored), key=lambda record: (record.created_ms, record.id))
