"""Limits of principals and addresses, where any are configured."""

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
    """One request on its way; what it transfers is charged at its end."""

    kind: Kind
    place: str
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
        """Whether anything is limited at all: else nothing here costs anything."""
        return self.limits.per_principal.is_on or self.limits.per_address.is_on

    @asynccontextmanager
    async def slot(self, kind: Kind, *, principal: str, address: str) -> AsyncIterator[RequestSlot]:
        """Hold a place while the block runs, and charge what it transferred. Raises RateLimited, StoreDown.

        `principal` is "" where nobody knows who it is.
        """
        found = RequestSlot(kind, "" if kind == "other" else new_id(), self._subjects(principal, address))
        if not found.subjects:
            yield found
            return
        try:
            await self.store.admit(found.subjects, kind=kind, slot=found.place)
            self._running[found.place] = found
            yield found
        finally:
            self._running.pop(found.place, None)
            if found.place:
                self.store.release(found.subjects, kind=kind, slot=found.place)
            if found.size_bytes:
                with contextlib.suppress(StoreDown):  # then they are not counted: the transfer is over
                    await self.store.charge(found.subjects, found.size_bytes)

    async def keep(self) -> None:
        """Renew the places of what runs, until cancelled."""
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            for passage in [passage for passage in self._running.values() if passage.place]:
                with contextlib.suppress(StoreDown):
                    await self.store.renew(passage.subjects, kind=passage.kind, slot=passage.place)

    def _subjects(self, principal: str, address: str) -> list[Subject]:
        found: list[Subject] = []
        if principal and self.limits.per_principal.is_on:
            found.append(Subject(_digest("principal", principal), "this caller", self.limits.per_principal))
        if self.limits.per_address.is_on:
            found.append(Subject(_digest("address", network_of(address)), "this address", self.limits.per_address))
        return found


def _digest(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()[:32]


RATE_LIMITER = web.AppKey("limiter", RateLimiter)
