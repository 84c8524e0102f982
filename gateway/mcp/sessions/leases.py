"""Leases of running calls on their sessions and files, renewed while the calls run; they expire with a dead gateway."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence

from aiohttp import web

from longshore.shared.errors import StoreDown
from longshore.shared.records import FileRecord
from longshore.shared.state.files import FileStore
from longshore.shared.state.sessions import SessionStore

_RENEW_EVERY_S = 20.0        # a third of a lease's life: two renewals may fail
_CONCURRENCY = 200


async def _ignore_store_down(renewal: Coroutine[None, None, None]) -> None:
    with contextlib.suppress(StoreDown):
        await renewal


class Leases:
    """Every lease of this process. Built once at start-up."""

    def __init__(self, sessions: SessionStore, files: FileStore) -> None:
        self._sessions = sessions
        self._files = files
        self._running: dict[str, str] = {}   # lease id to session id
        self._streams: dict[str, str] = {}   # likewise
        self._used: dict[str, list[str]] = {}  # lease id to the ids of the files that its call uses
        self._reserved: dict[str, tuple[str, int]] = {}  # the artifact that its call may write, and its grace

    def acquire(self, session_id: str, lease: str) -> None:
        """Hold `lease` on the session and renew it until `release`; "" is none."""
        if lease:
            self._running[lease] = session_id

    def release(self, session_id: str, lease: str) -> None:
        """Release `lease` and what it holds; "" is none. Does not wait, so that a cancelled call releases too."""
        if lease:
            del self._running[lease]
            self._sessions.release_call(session_id, lease)
            self._files.release_uses(session_id, lease, self._used.pop(lease, ()))
            self._reserved.pop(lease, None)

    async def use(self, session_id: str, lease: str, ids: Sequence[str]) -> list[FileRecord]:
        """Return the files of `ids`, in order; `lease` holds them until its release.

        All or none: raises NotFound for the first that is not there.
        """
        if lease:
            self._used.setdefault(lease, []).extend(ids)  # before they are held: a cancelled call releases them too
        return await self._files.use(session_id, ids, lease=lease)

    async def reserve(self, session_id: str, lease: str, artifact_id: str, *, grace_ms: int) -> None:
        """Reserve the artifact that a call may write, until `grace_ms` after its end. Raises SessionGone."""
        await self._files.allocate_pending(session_id, artifact_id, grace_ms=grace_ms)
        if lease:
            self._reserved[lease] = (artifact_id, grace_ms)

    async def acquire_stream(self, session_id: str, lease: str) -> None:
        """Hold the session for an open stream until `release_stream`. Raises StoreDown."""
        await self._sessions.renew_stream(session_id, lease)
        self._streams[lease] = session_id

    def release_stream(self, session_id: str, lease: str) -> None:
        """Release the lease of a closed stream. Does not wait."""
        self._streams.pop(lease, None)
        self._sessions.release_stream(session_id, lease)

    async def renew_periodically(self) -> None:
        """Renew every lease periodically, until cancelled. While Redis is down, renewals are skipped."""
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            await self.renew()

    async def renew(self) -> None:
        """Renew every lease once."""
        renewals = [self._sessions.renew_call(session_id, lease) for lease, session_id in self._running.items()]
        renewals += [self._sessions.renew_stream(session_id, lease) for lease, session_id in self._streams.items()]
        renewals += [self._files.renew_uses(self._running[lease], lease, ids) for lease, ids in self._used.items()]
        renewals += [
            self._files.renew_pending(self._running[lease], artifact_id, grace_ms=grace_ms)
            for lease, (artifact_id, grace_ms) in self._reserved.items()
        ]
        for start in range(0, len(renewals), _CONCURRENCY):
            await asyncio.gather(*map(_ignore_store_down, renewals[start:start + _CONCURRENCY]))


LEASES = web.AppKey("leases", Leases)
