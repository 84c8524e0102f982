"""Start-up of authentication and rate limits."""

from collections.abc import AsyncIterator

from aiohttp import web

from longshore.gateway.appkeys import CONFIG, KEYS, REDIS, TASKS
from longshore.gateway.auth.authenticator import AUTHENTICATOR, Authenticator
from longshore.gateway.auth.failed_attempts import FAILED_ATTEMPTS, FailedAttemptLimiter
from longshore.gateway.auth.rate_limiter import RATE_LIMITER, RateLimiter
from longshore.shared.redis.scripts import Scripts
from longshore.shared.state.limits import LimitStore


async def authentication(app: web.Application) -> AsyncIterator[None]:
    """Authenticator, with its connections to the authorization server."""
    authenticator = app[AUTHENTICATOR] = Authenticator(app[CONFIG], app[TASKS])
    yield
    await authenticator.close()


async def rate_limits(app: web.Application) -> AsyncIterator[None]:
    """Limits of requests, and of failed authentication attempts."""
    limits, link = app[CONFIG].limits, app[REDIS]
    store = LimitStore(Scripts(link), link, app[KEYS])
    limiter = app[RATE_LIMITER] = RateLimiter(limits, store)
    if limiter.is_on:
        app[TASKS].spawn(limiter.renew_slots(), name="renew_slots")
    app[FAILED_ATTEMPTS] = FailedAttemptLimiter(limits.failed_credentials_per_minute, store)
    yield
