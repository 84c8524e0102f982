"""Totals of sessions, files, jobs and workers in Redis."""

from dataclasses import dataclass

from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script

_TOTALS = Script("totals")


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals over all processes at one moment."""

    sessions: int            # live ones
    uploads: int
    artifacts: int
    stored_bytes: int
    queued: int              # jobs in the queue, running ones included
    oldest_due_ms: int       # age of the oldest due job; 0: none waits
    workers: int             # with a current heartbeat


class TotalsStore:
    """Typed access to the script that counts. One round trip, at a cost that does not grow with the totals."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def read(self) -> Totals:
        """Return the current totals. Raises StoreDown."""
        keys = self._keys
        counts = await self._link.run(
            _TOTALS,
            [
                keys.sessions(), keys.upload_ends(), keys.artifact_ends(), keys.used_total(), keys.queue(),
                keys.workers(),
            ],
            [],
        )
        return Totals(*counts)
