"""Rate limits, concurrency limits and transfer limits of principals and addresses, across all gateways."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from longshore.shared.config import Limit
from longshore.shared.errors import RateLimited
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script

_ADMIT = Script("admit_request")
_CHARGE = Script("charge_transfer")
_RENEW = Script("renew_slots")
_LEASE_MS = 60_000

Kind = Literal["call", "transfer", "other"]
_MESSAGES = {
    1: "requests come faster than {whom} may send them",
    2: "as many {kind}s run as {whom} may have at once",
    3: "{whom} has transferred as many bytes as an hour allows",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Principal or address that a request counts for. Redis sees only its digest."""

    digest: str
    phrase: str                # for messages, such as "this caller"
    limit: Limit

    def arguments(self, kind: Kind) -> list[int]:
        """Return the arguments of `admit_request.lua`."""
        limit = self.limit
        rate = limit.requests_per_second or 0
        slots = {"call": limit.concurrent_calls, "transfer": limit.concurrent_transfers, "other": None}[kind]
        return [rate, limit.burst or 2 * rate, slots or 0, limit.bytes_per_hour or 0 if kind == "transfer" else 0]


class LimitStore:
    """Typed access to the scripts of limits. One round trip per method, for any number of subjects."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def admit(self, subjects: Sequence[Subject], *, kind: Kind, slot: str) -> None:
        """Admit one request; it holds `slot` where concurrency is limited. Raises RateLimited, StoreDown."""
        names = [
            name for subject in subjects
            for name in (self._keys.limit_usage(subject.digest), self._keys.request_slots(subject.digest, kind))
        ]
        numbers = [number for subject in subjects for number in subject.arguments(kind)]
        full, *rest = await self._link.run(_ADMIT, names, [slot, _LEASE_MS, *numbers])
        if full:
            wait_ms, which = rest
            message = _MESSAGES[full].format(whom=subjects[which - 1].phrase, kind=kind)
            raise RateLimited(message + "; wait before you ask again", retry_after_s=-(-wait_ms // 1000))

    async def charge(self, subjects: Sequence[Subject], size_bytes: int) -> None:
        """Charge transferred bytes. Raises StoreDown."""
        await self._link.run(
            _CHARGE, [self._keys.limit_usage(subject.digest) for subject in subjects],
            [size_bytes, *(subject.limit.bytes_per_hour or 0 for subject in subjects)],
        )

    async def renew(self, subjects: Sequence[Subject], *, kind: Kind, slot: str) -> None:
        """Renew a slot that is still in use. Raises StoreDown."""
        names = [self._keys.request_slots(subject.digest, kind) for subject in subjects]
        await self._link.run(_RENEW, names, [slot, _LEASE_MS])

    def release(self, subjects: Sequence[Subject], *, kind: Kind, slot: str) -> None:
        """Release a slot. Does not wait, so that a cancelled request releases too."""
        for subject in subjects:
            self._link.send_nowait("ZREM", self._keys.request_slots(subject.digest, kind), slot)

    async def session_principal(self, session_id: str) -> str:
        """Return the principal of a session, "" when it has none. Raises StoreDown."""
        found = await self._link.call("HGET", self._keys.session(session_id), "principal")
        return found.decode() if found else ""
