"""How much there is now, of everything that longshore keeps in Redis."""

from dataclasses import dataclass

from longshore.shared.keys import Keys
from longshore.shared.redis.scripts import Script, Scripts

_TOTALS = Script("totals")


@dataclass(frozen=True, slots=True)
class Totals:
    """What all processes share, at one moment."""

    sessions: int            # live ones
    uploads: int
    artifacts: int
    stored_bytes: int
    queued: int              # jobs in the queue, running ones included
    oldest_due_ms: int       # how long the job that waits longest has been due; 0: none waits
    workers: int             # that said within a few seconds that they live


class TotalsStore:
    """Typed access to the script that counts. One round trip, whose cost does not grow with what is counted."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    async def read(self) -> Totals:
        """The totals now. Raises StoreDown."""
        keys = self._keys
        counts = await self._scripts.run(
            _TOTALS,
            [
                keys.sessions(), keys.upload_ends(), keys.artifact_ends(), keys.used_total(), keys.queue(),
                keys.workers(),
            ],
            [],
        )
        return Totals(*counts)
