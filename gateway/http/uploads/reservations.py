"""Reservations of storage for uploads that declare their size: held while the body is received."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from longshore.gateway.appkeys import RESERVATIONS, TASKS
from longshore.shared.errors import StoreDown
from longshore.shared.state.reservations import ReservationStore

_FORM_OVERHEAD_BYTES = 16 * 1024  # of a form, beside its files: heads of parts, boundaries, digests


def declared_bytes(request: web.Request) -> int | None:
    """Return the least number of bytes that the files in the body have, by its head; None when it does not say."""
    size_bytes = request.content_length
    if size_bytes is None or request.content_type != "multipart/form-data":
        return size_bytes
    return max(0, size_bytes - _FORM_OVERHEAD_BYTES)


async def reserve_for(request: web.Request, scope: str, size_bytes: int, *, for_ms: int) -> str:
    """Reserve `size_bytes` for a fixed time, beyond this request. Returns the reservation's name; "" for none."""
    store = request.app[RESERVATIONS]
    return await store.reserve(scope, size_bytes, ttl_ms=for_ms) if size_bytes and store.is_enabled else ""


@asynccontextmanager
async def reserved(request: web.Request, scope: str, size_bytes: int | None) -> AsyncIterator[str]:
    """Reserve `size_bytes` while the block runs, and yield the reservation's name for the commit.

    The name is "" where no budget is set or the size is unknown: then the commit alone decides.
    Raises OverQuota, StoreDown.
    """
    store = request.app[RESERVATIONS]
    if not size_bytes or not store.is_enabled:
        yield ""
        return
    name = await store.reserve(scope, size_bytes)
    renewal = request.app[TASKS].start(_renew(store, scope, name), name="renew_reservation")
    try:
        yield name
    finally:
        renewal.cancel()
        store.release(scope, name)


async def _renew(store: ReservationStore, scope: str, name: str) -> None:
    while True:
        await asyncio.sleep(store.renew_every_s)
        with contextlib.suppress(StoreDown):  # it expires when this lasts; the commit decides all the same
            await store.renew(scope, name)
