"""Bytes that are set aside for uploads under way, so that those which cannot fit together are refused early."""

from longshore.shared.errors import OverQuota
from longshore.shared.ids import new_id
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script, Scripts
from longshore.shared.state.quota import FileLimits

_RESERVE = Script("reserve_bytes")
_RENEW = Script("renew_reservation")


class ReservationStore:
    """Typed access to the scripts of reservations, which name theirs `<token>:<bytes>`. One round trip a method.

    A reservation lapses by itself when nobody renews it for `FileLimits.lease_ms`. The commit of its files
    ends it in the same step that charges their bytes: they count once.
    """

    def __init__(self, scripts: Scripts, link: RedisLink, keys: Keys, limits: FileLimits) -> None:
        self._scripts = scripts
        self._link = link
        self._keys = keys
        self._limits = limits

    @property
    def is_enabled(self) -> bool:
        """Whether any budget of bytes is set: else there is nothing to reserve."""
        return self._limits.session_bytes is not None or self._limits.total_bytes is not None

    @property
    def renew_every_s(self) -> float:
        """How often an upload that runs is to renew."""
        return self._limits.lease_ms / 3000

    async def reserve(self, scope: str, size_bytes: int, *, ttl_ms: int | None = None) -> str:
        """Set `size_bytes` aside, for so long in place of a lease, and name the reservation. Raises OverQuota where
        they fit neither beside what calls use and others have reserved nor in place of other files; StoreDown."""
        keys, limits = self._keys, self._limits
        name = f"{new_id()}:{size_bytes}"
        status, *why = await self._scripts.run(
            _RESERVE,
            [
                *self._sets(scope), keys.used_total(), keys.files(scope), keys.uses(scope), keys.upload_ends(),
                keys.artifact_ends(),
            ],
            [
                name, size_bytes, ttl_ms or limits.lease_ms, *(-1 if most is None else most for most in limits.budgets),
                keys.files(""), keys.uses(""),
            ],
        )
        if status == 2:
            _, used, budget = why
            raise OverQuota(size_bytes=size_bytes, used_bytes=used, budget_bytes=budget)
        return name

    async def renew(self, scope: str, name: str) -> None:
        """Keep a reservation whose upload still runs. Raises StoreDown."""
        await self._scripts.run(_RENEW, self._sets(scope), [name, self._limits.lease_ms])

    def release(self, scope: str, name: str) -> None:
        """End a reservation, if its commit has not. Does not wait, so that a cancelled upload gives back too."""
        for key in self._sets(scope):
            self._link.send_nowait("ZREM", key, name)

    def _sets(self, scope: str) -> list[str]:
        return [self._keys.reserved(scope), self._keys.reserved_total()]
