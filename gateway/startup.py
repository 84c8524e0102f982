"""What the gateway is made of: one generator for each resource, opened in order, closed in reverse."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from longshore.gateway.appkeys import (
    BLOBS,
    CONFIG,
    EVENT_LISTENER,
    EXPIRY,
    FEED_STORE,
    FILES,
    GRANTS,
    KEYS,
    MAILBOXES,
    PROCESS_METRICS,
    PUBLISHER,
    QUEUE,
    REDIS,
    RENEWALS,
    RESERVATIONS,
    RESUMABLE,
    SESSIONS,
    SIGNER,
    TASKS,
    TRACES,
    UPLOAD_WAITS,
    WORKERS,
)
from longshore.gateway.auth.authenticator import AUTHENTICATOR, Authenticator
from longshore.gateway.auth.failed_attempts import FAILED_ATTEMPTS, FailedAttemptLimiter
from longshore.gateway.auth.rate_limiter import RATE_LIMITER, RateLimiter
from longshore.gateway.files.adapters import Adapters
from longshore.gateway.files.fetching import FETCHER, Fetcher, FetchPolicy
from longshore.gateway.http.routes import add_routes
from longshore.gateway.mcp.call_files.retry_state import RETRY_SEALER
from longshore.gateway.mcp.forwarding.cancellations import CANCELLATIONS
from longshore.gateway.mcp.input_requests.standing_streams import STANDING_STREAMS, StandingStreams
from longshore.gateway.mcp.input_requests.suspended_calls import SUSPENDED_CALLS, SuspendedCalls
from longshore.gateway.mcp.list_cache import LIST_CACHE
from longshore.gateway.mcp.replies.event_streams import STREAMS
from longshore.gateway.mcp.sessions.end_watcher import SESSION_ENDS, SessionEndWatcher
from longshore.gateway.mcp.sessions.leases import LEASES, Leases
from longshore.gateway.mcp.subscriptions.feeds import FEEDS, Feeds
from longshore.gateway.metrics import METRICS, GatewayEvents
from longshore.gateway.mounts import SERVERS, STARTUP, Mount
from longshore.gateway.upstream import health_probe
from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.era_cache import ERA_CACHE, EraCache
from longshore.gateway.upstream.headers import HeaderRules
from longshore.gateway.upstream.health_probe import Monitor
from longshore.gateway.upstream.session_ender import end_sessions
from longshore.shared.clock import monotonic_s
from longshore.shared.config import Config, Server
from longshore.shared.crypto.sealed_tokens import Sealer
from longshore.shared.crypto.signed_links import Signer
from longshore.shared.ids import new_id
from longshore.shared.keys import Keys
from longshore.shared.messaging.mailboxes import Mailboxes
from longshore.shared.messaging.message_stream import MessageStream
from longshore.shared.messaging.pubsub import CANCELLED, LISTS_CHANGED, Event, EventListener, Publisher
from longshore.shared.otlp.lifecycle import export_telemetry
from longshore.shared.process_sampler import sample_process
from longshore.shared.redis.address import configured_address
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Scripts
from longshore.shared.state.eras import EraStore
from longshore.shared.state.expiry import ExpiryStore
from longshore.shared.state.feeds import FeedStore
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
from longshore.shared.state.upload_waits import UploadWatcher
from longshore.shared.state.workers import Workers
from longshore.shared.storage.blobs import Blobs
from longshore.shared.tasks import Tasks

log = structlog.get_logger(__name__)


async def telemetry(app: web.Application, *, registry: CollectorRegistry) -> AsyncIterator[None]:
    """Traces and exports, closed after everything that may still be traced."""
    async with export_telemetry(app[CONFIG], registry, role="gateway") as traces:
        app[TRACES] = traces
        yield


async def background(app: web.Application) -> AsyncIterator[None]:
    """Background tasks, cancelled last."""
    tasks = app[TASKS] = Tasks()
    yield
    await tasks.close()


async def access(app: web.Application) -> AsyncIterator[None]:
    """Who may come in."""
    door = app[AUTHENTICATOR] = Authenticator(app[CONFIG], app[TASKS])
    yield
    await door.close()


async def state(app: web.Application) -> AsyncIterator[None]:
    """Redis and everything stored in it."""
    config, tasks = app[CONFIG], app[TASKS]
    address = configured_address(config)
    link = app[REDIS] = RedisLink(address, tasks)
    await link.require_suitable()
    scripts, keys = Scripts(link), Keys(config.state_persistence.redis.key_base)
    app[KEYS] = keys
    limits = SessionLimits.of(config.sessions)
    app[SESSIONS] = SessionStore(scripts, link, keys, limits)
    app[EXPIRY] = ExpiryStore(scripts, link, keys, limits)
    app[ERA_CACHE] = EraCache(EraStore(link, keys))
    app[RENEWALS] = RenewalStore(scripts, keys)
    tasks.spawn(sample_process(TotalsStore(scripts, keys), app[PROCESS_METRICS]), name="pulse")
    app[FILES] = FileStore(scripts, link, keys, FileLimits.of(config))
    app[RESERVATIONS] = ReservationStore(scripts, link, keys, FileLimits.of(config))
    leases = app[LEASES] = Leases(app[SESSIONS], app[FILES])
    tasks.spawn(leases.keep(), name="renew_leases")
    store = LimitStore(scripts, link, keys)
    limiter = app[RATE_LIMITER] = RateLimiter(config.limits, store)
    if limiter.is_on:
        tasks.spawn(limiter.renew_slots(), name="renew_places")
    app[FAILED_ATTEMPTS] = FailedAttemptLimiter(config.limits.failed_credentials_per_minute, store)
    grants = app[GRANTS] = GrantStore(scripts, keys)
    waits = app[UPLOAD_WAITS] = UploadWatcher(address, keys, grants, tasks)
    life_s = max(config.storage.orphan_sweeper_grace_seconds, MIN_GRACE_S)  # then the sweeper takes the bytes
    app[RESUMABLE] = ResumableStore(scripts, link, keys, ttl_ms=life_s * 1000)
    app[WORKERS] = Workers(scripts, link, keys)
    queue = app[QUEUE] = Queue(scripts, link, keys, new_id(), tasks, on_enqueued=app[METRICS].job_enqueued)
    queue.subscribe(address)
    secret = config.signing_secret_setting() or await signing_secret(link, keys)
    app[SIGNER] = Signer([secret, *config.former_signing_secrets()])
    yield
    await waits.close()
    await queue.close()
    await link.close()


async def mail(app: web.Application) -> AsyncIterator[None]:
    """Where calls and listeners wait for what reaches other gateways."""
    address, link, keys, tasks = configured_address(app[CONFIG]), app[REDIS], app[KEYS], app[TASKS]
    mailboxes = app[MAILBOXES] = Mailboxes(address, link, keys, tasks)
    news = app[PUBLISHER] = Publisher(link, keys)
    hearing = app[EVENT_LISTENER] = EventListener(address, keys, tasks, on_broadcast=partial(_hear, app))
    app[SESSION_ENDS] = SessionEndWatcher(hearing, app[SESSIONS], tasks)
    store = app[FEED_STORE] = FeedStore(Scripts(link), link, keys, new_id())
    feeds = app[FEEDS] = Feeds(store, hearing, news, tasks)
    tasks.spawn(feeds.beat(), name="beat")
    yield
    await feeds.close()
    await hearing.close()
    await mailboxes.close()


def _hear(app: web.Application, event: Event) -> None:
    """What every gateway is told."""
    if event.kind == LISTS_CHANGED:
        app[LIST_CACHE].forget_server(event.data.decode())
    elif event.kind == CANCELLED:
        app[CANCELLATIONS].on_event(event)


async def asking(app: web.Application) -> AsyncIterator[None]:
    """Calls that wait for their clients, given up before anything that they need."""
    config, link, keys = app[CONFIG], app[REDIS], app[KEYS]
    secret = config.signing_secret_setting() or await signing_secret(link, keys)
    app[RETRY_SEALER] = Sealer([secret, *config.former_signing_secrets()], "files of a call")
    parked = app[SUSPENDED_CALLS] = SuspendedCalls(
        app[MAILBOXES], MessageStream(link, keys, app[TASKS], new_id()),
        Sealer([secret, *config.former_signing_secrets()], "request state"), app[SESSION_ENDS], app[TASKS],
        config.sessions,
    )
    app[METRICS].watch_waiting_calls(lambda: parked.count)
    stands = app[STANDING_STREAMS] = StandingStreams(app[FEEDS], app[EVENT_LISTENER], app[TASKS])
    yield
    await parked.close()
    stands.close()


async def storage(app: web.Application) -> AsyncIterator[None]:
    """The storage volume."""
    config = app[CONFIG].storage
    blobs = app[BLOBS] = Blobs(Path(config.root), dir_mode=config.dir_mode, file_mode=config.file_mode)
    await blobs.prepare()
    yield
    blobs.close()


async def fetching(app: web.Application, *, guard: FetchPolicy) -> AsyncIterator[None]:
    """Fetching files that clients name by URL."""
    fetcher = app[FETCHER] = Fetcher(guard)
    yield
    await fetcher.close()


async def upstreams(app: web.Application) -> AsyncIterator[None]:
    """Connections to upstreams, and the wait for them to answer."""
    config, started_s = app[CONFIG], monotonic_s()
    servers = app[SERVERS]
    for mount in servers.values():
        watching = health_probe.watch(mount.monitor, mount.client, partial(_wired, app[METRICS]))
        app[TASKS].spawn(watching, name=f"watch_{mount.server.id}")
    clients = {mount.server.id: (mount.server, mount.client) for mount in servers.values()}
    app[TASKS].spawn(app[STREAMS].keep_alive(), name="keep_streams_alive")
    app[TASKS].spawn(end_sessions(app[EXPIRY], clients, app[TASKS]), name="end_upstream_sessions")
    startup = app[STARTUP]
    if config.core.max_start_wait_seconds > 0:
        waits = [mount.monitor.is_settled.wait() for mount in servers.values()]
        try:
            async with asyncio.timeout(config.core.max_start_wait_seconds):
                await asyncio.gather(*waits)
        except TimeoutError:
            waiting = [m.server.id for m in servers.values() if not m.monitor.is_settled.is_set()]
            log.warning("started_without_upstreams", servers=waiting, waited_s=config.core.max_start_wait_seconds)
    startup.waited_s = monotonic_s() - started_s
    startup.complete = True
    yield
    for mount in servers.values():
        await mount.client.close()


def _wired(tally: GatewayEvents, monitor: Monitor) -> None:
    tally.adapter_check(server=monitor.server.id, ready=monitor.readiness == "ready" and not monitor.missing_tools)


def mount(server: Server, config: Config) -> Mount:
    """One configured server, ready to be routed to. Needs a running loop."""
    return Mount(
        server=server,
        client=UpstreamClient(server),
        headers=HeaderRules.of(server, credential_header=config.core.auth.header_name),
        monitor=Monitor(server),
        adapters=Adapters.of(
            server, uploads=config.uploads.enabled, artifacts=config.artifacts.enabled,
            expose=config.artifacts.expose_as_resources, spills=config.spill_over_bytes(server) is not None,
        ),
    )


def wire(app: web.Application) -> None:
    """Mount the servers and add the routes: before the application starts, as routing wants it."""
    config = app[CONFIG]
    servers = app[SERVERS] = {server.id: mount(server, config) for server in config.servers}
    add_routes(app, config, servers)
