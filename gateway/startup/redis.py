"""Start-up of the Redis link and of everything that is stored in Redis."""

from collections.abc import AsyncIterator

from aiohttp import web

from longshore.gateway.appkeys import (
    CONFIG,
    EXPIRY,
    FILES,
    GRANTS,
    KEYS,
    PROCESS_METRICS,
    QUEUE,
    REDIS,
    RENEWALS,
    RESERVATIONS,
    RESUMABLE,
    SESSIONS,
    SIGNER,
    TASKS,
    UPLOAD_WAITS,
    WORKERS,
)
from longshore.gateway.auth.failed_attempts import FAILED_ATTEMPTS, FailedAttemptLimiter
from longshore.gateway.auth.rate_limiter import RATE_LIMITER, RateLimiter
from longshore.gateway.mcp.sessions.leases import LEASES, Leases
from longshore.gateway.metrics import METRICS
from longshore.gateway.upstream.era_cache import ERA_CACHE, EraCache
from longshore.shared.crypto.signed_links import Signer
from longshore.shared.ids import new_id
from longshore.shared.keys import Keys
from longshore.shared.process_sampler import sample_process
from longshore.shared.redis.address import configured_address
from longshore.shared.redis.connection import RedisLink
from longshore.shared.state.eras import EraStore
from longshore.shared.state.expiry import ExpiryStore
from longshore.shared.state.files import FileStore
from longshore.shared.state.grants import GrantStore
from longshore.shared.state.limits import LimitStore
from longshore.shared.state.queue import Queue
from longshore.shared.state.quota import MIN_GRACE_S, FileLimits
from longshore.shared.state.renewal import RenewalStore
from longshore.shared.state.reservations import ReservationStore
from longshore.shared.state.resumable import ResumableStore
from longshore.shared.state.secrets import signing_secret
from longshore.shared.state.sessions import SessionLimits, SessionStore
from longshore.shared.state.totals import TotalsStore
from longshore.shared.state.upload_watcher import UploadWatcher
from longshore.shared.state.workers import Workers


async def redis_link(app: web.Application) -> AsyncIterator[None]:
    """Connection to Redis, which has to be of a suitable version, and the names of its keys."""
    config = app[CONFIG]
    link = app[REDIS] = RedisLink(configured_address(config), app[TASKS])
    await link.require_suitable()
    app[KEYS] = Keys(config.state_persistence.redis.key_base)
    yield
    await link.close()


async def rate_limits(app: web.Application) -> AsyncIterator[None]:
    """Limits of requests, and of failed authentication attempts."""
    limits, link = app[CONFIG].limits, app[REDIS]
    store = LimitStore(link, app[KEYS])
    limiter = app[RATE_LIMITER] = RateLimiter(limits, store)
    if limiter.is_on:
        app[TASKS].spawn(limiter.renew_slots(), name="renew_slots")
    app[FAILED_ATTEMPTS] = FailedAttemptLimiter(limits.failed_credentials_per_minute, store)
    yield


async def redis_stores(app: web.Application) -> AsyncIterator[None]:
    """Typed stores of sessions, files and uploads, with the leases on what calls in flight use."""
    config, tasks, link, keys = app[CONFIG], app[TASKS], app[REDIS], app[KEYS]
    session_limits, file_limits = SessionLimits.of(config.sessions), FileLimits.of(config)
    app[SESSIONS] = SessionStore(link, keys, session_limits)
    app[EXPIRY] = ExpiryStore(link, keys, session_limits)
    app[RENEWALS] = RenewalStore(link, keys)
    app[ERA_CACHE] = EraCache(EraStore(link, keys))
    app[FILES] = FileStore(link, keys, file_limits)
    app[RESERVATIONS] = ReservationStore(link, keys, file_limits)
    leases = app[LEASES] = Leases(app[SESSIONS], app[FILES])
    tasks.spawn(leases.renew_periodically(), name="renew_leases")
    grants = app[GRANTS] = GrantStore(link, keys)
    waits = app[UPLOAD_WAITS] = UploadWatcher(configured_address(config), keys, grants, tasks)
    ttl_s = max(config.storage.orphan_sweeper_grace_seconds, MIN_GRACE_S)  # then the sweeper unlinks the bytes
    app[RESUMABLE] = ResumableStore(link, keys, ttl_ms=ttl_s * 1000)
    app[SIGNER] = Signer(await signing_secrets(app))
    tasks.spawn(sample_process(TotalsStore(link, keys), app[PROCESS_METRICS]), name="sample_process")
    yield
    await waits.close()


async def job_queue(app: web.Application) -> AsyncIterator[None]:
    """Queue of jobs for storage workers, and the list of workers that are alive."""
    link, keys = app[REDIS], app[KEYS]
    app[WORKERS] = Workers(link, keys)
    queue = app[QUEUE] = Queue(link, keys, new_id(), app[TASKS], on_enqueued=app[METRICS].job_enqueued)
    queue.subscribe(configured_address(app[CONFIG]))
    yield
    await queue.close()


async def signing_secrets(app: web.Application) -> list[str]:
    """List the secrets that signatures are checked with; the first one signs. Raises StoreDown."""
    config = app[CONFIG]
    secret = config.signing_secret_setting() or await signing_secret(app[REDIS], app[KEYS])
    return [secret, *config.former_signing_secrets()]
