"""Heartbeats of workers, once a second; gateways count the live ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script

_HEARTBEAT = Script("worker_heartbeat")
_LIVE = Script("count_workers")

HEARTBEAT_EVERY_S = 1.0
_TTL_MS = 5_000              # of a heartbeat
CLAIM_MS = 6_000             # of a claim on a job, which another worker takes over then


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """Queue length and lost claims, returned to a worker's heartbeat."""

    queued: int              # jobs in the queue, running ones included
    lost: int                # jobs that it runs and another worker has taken over


class Workers:
    """Typed access to the heartbeats. One round trip per method. All raise StoreDown."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def heartbeat(self, worker_id: str, running: Sequence[str] = ()) -> HeartbeatReply:
        """Renew the heartbeat of `worker_id` and its claims on the jobs it runs."""
        keys = self._keys
        queued, lost = await self._link.run(
            _HEARTBEAT,
            [keys.workers(), keys.queue()],
            [worker_id, _TTL_MS, CLAIM_MS, keys.job_claim(""), *running],
        )
        return HeartbeatReply(queued=queued, lost=lost)

    async def deregister(self, worker_id: str) -> None:
        """Remove the heartbeat of a worker that stops."""
        await self._link.call("ZREM", self._keys.workers(), worker_id)

    async def count_live(self) -> int:
        """Return the number of live workers."""
        return int(await self._link.run(_LIVE, [self._keys.workers()], []))
