"""Room for an upload while its body comes in: reserved where its size is declared."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from longshore.gateway.appkeys import RESERVATIONS, TASKS
from longshore.shared.errors import StoreDown
from longshore.shared.state.reservations import ReservationStore

_FORM_BYTES = 16 * 1024  # of a form that may be its own: heads of parts, boundaries, digests


def declared_bytes(request: web.Request) -> int | None:
    """How many bytes of files the body holds at least, as far as its head tells."""
    size_bytes = request.content_length
    if size_bytes is None or request.content_type != "multipart/form-data":
        return size_bytes
    return max(0, size_bytes - _FORM_BYTES)


async def set_aside(request: web.Request, scope: str, size_bytes: int, *, for_ms: int) -> str:
    """Hold room for so long, whatever becomes of the request; the name of what is held, as `reserved` has it."""
    store = request.app[RESERVATIONS]
    return await store.reserve(scope, size_bytes, ttl_ms=for_ms) if size_bytes and store.is_enabled else ""


@asynccontextmanager
async def reserved(request: web.Request, scope: str, size_bytes: int | None) -> AsyncIterator[str]:
    """Hold room for `size_bytes` while the block runs, renewing it; gives the reservation's name for the commit.

    "" where no budget is set or the size is unknown: then the commit alone decides. Raises OverQuota, StoreDown.
    """
    store = request.app[RESERVATIONS]
    if not size_bytes or not store.is_enabled:
        yield ""
        return
    name = await store.reserve(scope, size_bytes)
    keeper = request.app[TASKS].start(_keep(store, scope, name), name="renew_reservation")
    try:
        yield name
    finally:
        keeper.cancel()
        store.release(scope, name)


async def _keep(store: ReservationStore, scope: str, name: str) -> None:
    while True:
        await asyncio.sleep(store.renew_every_s)
        with contextlib.suppress(StoreDown):  # it lapses when this lasts; the commit decides all the same
            await store.renew(scope, name)
