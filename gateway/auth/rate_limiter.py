"""Rate limits of principals and addresses, where any are configured."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from longshore.gateway.auth.client_address import network_of
from longshore.shared.config import Limits
from longshore.shared.errors import StoreDown
from longshore.shared.ids import new_id
from longshore.shared.state.limits import Kind, LimitStore, Subject

_RENEW_EVERY_S = 20.0        # a third of a lease's life


@dataclass(slots=True)
class RequestSlot:
    """One request in flight. The bytes that it transfers are charged at its end."""

    kind: Kind
    slot_id: str
    subjects: list[Subject]
    size_bytes: int = 0


@dataclass(slots=True)
class RateLimiter:
    """The limits of one configuration. Built once at start-up."""

    limits: Limits
    store: LimitStore
    _running: dict[str, RequestSlot] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        """Return True if any limit is configured; without one, nothing here costs anything."""
        return self.limits.per_principal.is_on or self.limits.per_address.is_on

    @asynccontextmanager
    async def slot(self, kind: Kind, *, principal: str, address: str) -> AsyncIterator[RequestSlot]:
        """Hold a slot while the block runs, and charge the bytes that it transferred. Raises RateLimited, StoreDown.

        `principal` is "" for a request whose principal is not known.
        """
        slot = RequestSlot(kind, "" if kind == "other" else new_id(), self._subjects(principal, address))
        if not slot.subjects:
            yield slot
            return
        try:
            await self.store.admit(slot.subjects, kind=kind, slot=slot.slot_id)
            self._running[slot.slot_id] = slot
            yield slot
        finally:
            self._running.pop(slot.slot_id, None)
            if slot.slot_id:
                self.store.release(slot.subjects, kind=kind, slot=slot.slot_id)
            if slot.size_bytes:
                with contextlib.suppress(StoreDown):  # then they are not counted: the transfer is over
                    await self.store.charge(slot.subjects, slot.size_bytes)

    async def renew_slots(self) -> None:
        """Renew the slots of requests in flight, until cancelled."""
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            for slot in [slot for slot in self._running.values() if slot.slot_id]:
                with contextlib.suppress(StoreDown):
                    await self.store.renew(slot.subjects, kind=slot.kind, slot=slot.slot_id)

    def _subjects(self, principal: str, address: str) -> list[Subject]:
        found: list[Subject] = []
        if principal and self.limits.per_principal.is_on:
            found.append(Subject(_digest("principal", principal), "this caller", self.limits.per_principal))
        if self.limits.per_address.is_on:
            found.append(Subject(_digest("address", network_of(address)), "this address", self.limits.per_address))
        return found


def _digest(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()[:32]


RATE_LIMITER = web.AppKey("rate_limiter", RateLimiter)
