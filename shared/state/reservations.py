"""Byte reservations of uploads in progress, so that uploads which cannot fit together are refused early."""

from longshore.shared.errors import OverQuota
from longshore.shared.ids import new_id
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script
from longshore.shared.state.quota import FileLimits

_RESERVE = Script("reserve_bytes")
_RENEW = Script("renew_reservation")


class ReservationStore:
    """Typed access to the scripts of reservations, named `<token>:<bytes>`. One round trip per method.

    A reservation lapses unless renewed within `FileLimits.lease_ms`. The commit of its files ends it in the same step
    that charges their bytes, so that they count once.
    """

    def __init__(self, link: RedisLink, keys: Keys, limits: FileLimits) -> None:
        self._link = link
        self._keys = keys
        self._limits = limits

    @property
    def is_enabled(self) -> bool:
        """Return True if a byte budget is configured; else nothing is reserved."""
        return self._limits.session_bytes is not None or self._limits.total_bytes is not None

    @property
    def renew_every_s(self) -> float:
        """Return the interval in which a running upload renews."""
        return self._limits.lease_ms / 3000

    async def reserve(self, scope: str, size_bytes: int, *, ttl_ms: int | None = None) -> str:
        """Reserve `size_bytes` for `ttl_ms`, or for a lease, and return the reservation's name.

        Raises OverQuota when they do not fit even if every file that no call uses were evicted; StoreDown.
        """
        keys, limits = self._keys, self._limits
        name = f"{new_id()}:{size_bytes}"
        status, *why = await self._link.run(
            _RESERVE,
            [
                *self._sets(scope), keys.used_total(), keys.files(scope), keys.files_in_use(scope), keys.upload_ends(),
                keys.artifact_ends(),
            ],
            [
                name, size_bytes, ttl_ms or limits.lease_ms,
                *(-1 if limit is None else limit for limit in limits.budgets), keys.files(""), keys.files_in_use(""),
            ],
        )
        if status == 2:
            _, used, budget = why
            raise OverQuota(size_bytes=size_bytes, used_bytes=used, budget_bytes=budget)
        return name

    async def renew(self, scope: str, name: str) -> None:
        """Renew the reservation of a running upload. Raises StoreDown."""
        await self._link.run(_RENEW, self._sets(scope), [name, self._limits.lease_ms])

    def release(self, scope: str, name: str) -> None:
        """Release a reservation. Does not wait, so that a cancelled upload releases too. Safe to repeat."""
        for key in self._sets(scope):
            self._link.send_nowait("ZREM", key, name)

    def _sets(self, scope: str) -> list[str]:
        return [self._keys.reserved(scope), self._keys.reserved_total()]
