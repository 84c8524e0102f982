"""What principals and addresses have taken of their limits, across all gateways."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from longshore.shared.config import Limit
from longshore.shared.errors import RateLimited
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script, Scripts

_ADMIT = Script("admit")
_CHARGE = Script("charge")
_RENEW = Script("renew_places")
_LEASE_MS = 60_000

Kind = Literal["call", "transfer", "other"]
_WORDS = {
    1: "requests come faster than {whom} may send them",
    2: "as many {kind}s run as {whom} may have at once",
    3: "{whom} has transferred as many bytes as an hour allows",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody whom a request counts for. The digest is of the principal or address, which stays unknown to Redis."""

    digest: str
    phrase: str                # in words: "this caller"
    limit: Limit

    def arguments(self, kind: Kind) -> list[int]:
        """What `admit.lua` wants to know."""
        limit = self.limit
        rate = limit.requests_per_second or 0
        places = {"call": limit.concurrent_calls, "transfer": limit.concurrent_transfers, "other": None}[kind]
        return [rate, limit.burst or 2 * rate, places or 0, limit.bytes_per_hour or 0 if kind == "transfer" else 0]


class LimitStore:
    """Typed access to the scripts of limits. One round trip a method, whoever it is about."""

    def __init__(self, scripts: Scripts, link: RedisLink, keys: Keys) -> None:
        self._scripts = scripts
        self._link = link
        self._keys = keys

    async def admit(self, subjects: Sequence[Subject], *, kind: Kind, slot: str) -> None:
        """Let one request in, holding `place` where places are limited. Raises RateLimited, StoreDown."""
        names = [
            name for subject in subjects
            for name in (self._keys.limit(subject.digest), self._keys.places(subject.digest, kind))
        ]
        numbers = [number for subject in subjects for number in subject.arguments(kind)]
        full, *rest = await self._scripts.run(_ADMIT, names, [slot, _LEASE_MS, *numbers])
        if full:
            wait_ms, which = rest
            words = _WORDS[full].format(whom=subjects[which - 1].whom, kind=kind)
            raise RateLimited(words + "; wait before you ask again", retry_after_s=-(-wait_ms // 1000))

    async def charge(self, subjects: Sequence[Subject], size_bytes: int) -> None:
        """Count bytes that were transferred. Raises StoreDown."""
        await self._scripts.run(
            _CHARGE, [self._keys.limit(subject.digest) for subject in subjects],
            [size_bytes, *(subject.limit.bytes_per_hour or 0 for subject in subjects)],
        )

    async def renew(self, subjects: Sequence[Subject], *, kind: Kind, slot: str) -> None:
        """Keep a place that is still needed. Raises StoreDown."""
        names = [self._keys.places(subject.digest, kind) for subject in subjects]
        await self._scripts.run(_RENEW, names, [slot, _LEASE_MS])

    def release(self, subjects: Sequence[Subject], *, kind: Kind, slot: str) -> None:
        """Give a place back. Does not wait, so that a cancelled request gives back too."""
        for subject in subjects:
            self._link.send_nowait("ZREM", self._keys.places(subject.digest, kind), slot)

    async def session_principal(self, session_id: str) -> str:
        """The principal of a session, "" when it is nobody's. Raises StoreDown."""
        found = await self._link.call("HGET", self._keys.session(session_id), "principal")
        return found.decode() if found else ""
