"""Rate limits of one HTTP request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from longshore.gateway.auth.rate_limiter import RATE_LIMITER, RequestSlot
from longshore.gateway.http.auth import address_of
from longshore.shared.state.limits import Kind


@asynccontextmanager
async def rate_limited(
    request: web.Request, kind: Kind, *, principal: str = "", scope: str = ""
) -> AsyncIterator[RequestSlot]:
    """Run the block within the limits of `principal`, else of the principal that owns the session `scope`.

    Raises RateLimited.
    """
    limiter = request.app[RATE_LIMITER]
    if scope and limiter.limits.per_principal.is_on:
        principal = await limiter.store.session_principal(scope)
    async with limiter.slot(kind, principal=principal, address=address_of(request)) as slot:
        yield slot
