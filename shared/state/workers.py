"""Which workers live: they say so once a second, and gateways count them."""

from collections.abc import Sequence
from dataclasses import dataclass

from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script, Scripts

_BEAT = Script("beat_worker")
_LIVE = Script("live_workers")

HEARTBEAT_EVERY_S = 1.0
_LAPSE_MS = 5_000            # a worker that was silent for so long counts as gone
CLAIM_MS = 6_000             # a job whose worker was silent for so long passes to another


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """What a worker learns when it says that it lives."""

    queued: int              # jobs in the queue, running ones included
    lost: int                # jobs that it runs and another has taken over


class Workers:
    """Heartbeats of workers. One round trip a method."""

    def __init__(self, scripts: Scripts, link: RedisLink, keys: Keys) -> None:
        self._scripts = scripts
        self._link = link
        self._keys = keys

    async def heartbeat(self, worker_id: str, running: Sequence[str] = ()) -> HeartbeatReply:
        """Say that `worker_id` lives and go on holding the jobs it runs. Raises StoreDown."""
        keys = self._keys
        queued, lost = await self._scripts.run(
            _BEAT,
            [keys.workers(), keys.queue()],
            [worker_id, _LAPSE_MS, CLAIM_MS, keys.job_claims, *running],
        )
        return HeartbeatReply(queued=queued, lost=lost)

    async def deregister(self, worker_id: str) -> None:
        """Say that `worker_id` ends."""
        await self._link.call("ZREM", self._keys.workers(), worker_id)

    async def count_live(self) -> int:
        """How many workers live. Raises StoreDown."""
        return int(await self._scripts.run(_LIVE, [self._keys.workers()], []))
