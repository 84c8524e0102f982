"""Periodic jobs: any worker may enqueue one, once per interval."""

from longshore.shared.clock import now_ms
from longshore.shared.jobs import Payload
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script
from longshore.shared.state.queue import envelope, job_name

_ENQUEUE_PERIODIC = Script("enqueue_periodic")


class PeriodicJobs:
    """Typed access to the script that enqueues periodic jobs."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def enqueue(self, payload: Payload, *, interval_ms: int) -> int:
        """Enqueue the job unless it ran in this interval or still runs. Raises StoreDown.

        Returns the milliseconds until the next interval. All runs share one job id.
        """
        keys, name = self._keys, job_name(payload)
        job_id = keys.periodic_job_id(name)
        _, left_ms = await self._link.run(
            _ENQUEUE_PERIODIC,
            [keys.periodic_interval(name), keys.job(job_id), keys.queue()],
            [job_id, envelope(payload, now_ms()), interval_ms, max(interval_ms, 60_000), keys.worker_channel()],
        )
        return max(0, int(left_ms))
