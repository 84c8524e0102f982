"""Gateway process: builds the application, serves it, and drains it on a stop signal."""

import asyncio
import gc
import signal

import structlog
from aiohttp import web

from longshore.gateway import startup
from longshore.gateway.appkeys import CONFIG, PROCESS_METRICS
from longshore.gateway.files.fetching import FetchPolicy
from longshore.gateway.http.admin import admin_app
from longshore.gateway.http.edge import ORIGINS, add_cors_headers, edge, note_head
from longshore.gateway.http.origins import Origins
from longshore.gateway.http.server.idle_connections import close_silent_connections
from longshore.gateway.http.server.runner import PublicRunner
from longshore.gateway.http.server.slow_readers import reset_stalled_connections
from longshore.gateway.mcp.forwarding.cancellations import CANCELLATIONS, Cancellations
from longshore.gateway.mcp.list_cache import LIST_CACHE, ListCache
from longshore.gateway.mcp.replies.event_streams import STREAMS, Streams
from longshore.gateway.metrics import METRICS, GatewayEvents
from longshore.gateway.mounts import STARTUP, Startup
from longshore.gateway.startup.upstreams import mount_servers
from longshore.shared.config import Config
from longshore.shared.metrics import Metrics
from longshore.shared.tasks import Tasks

log = structlog.get_logger(__name__)

_KEEPALIVE_S = 75.0          # longer than a balancer's, so that the balancer closes first
_BACKLOG = 1024
_FETCH_POLICY = FetchPolicy()
_LINGER_S = 1.0              # for reading on after a refusal, so that its sender sees the answer


def build(config: Config, metrics: Metrics, fetch_policy: FetchPolicy = _FETCH_POLICY) -> web.Application:
    """Build the application. Needs a running loop; no resource is opened before the application starts."""
    app = web.Application(middlewares=[edge], client_max_size=config.core.max_body_bytes)
    app[CONFIG] = config
    app[METRICS], app[PROCESS_METRICS] = GatewayEvents(metrics.gateway), metrics.process
    app[STARTUP] = Startup()
    streams = app[STREAMS] = Streams()
    app[METRICS].watch_open_streams(lambda: streams.count)
    app[CANCELLATIONS] = Cancellations()
    app[LIST_CACHE] = ListCache(config.core.upstream_metadata_cache_ttl_seconds)
    app[ORIGINS] = Origins.of(config)
    app.on_response_prepare.append(note_head)
    if config.core.cors.enabled:
        app.on_response_prepare.append(add_cors_headers)
    mount_servers(app)
    app.cleanup_ctx.extend(startup.resources(config, metrics.registry, fetch_policy))
    app.on_shutdown.append(_drain)
    return app


async def _drain(app: web.Application) -> None:
    """End the open streams, which would never end by themselves; calls in flight may finish."""
    app[STREAMS].end()


def public_runner(
    config: Config, metrics: Metrics, fetch_policy: FetchPolicy = _FETCH_POLICY
) -> web.AppRunner:
    """Build the runner of the public port. `fetch_policy` restricts the files that are fetched by URL."""
    return PublicRunner(
        build(config, metrics, fetch_policy), handler_cancellation=True, access_log=None,
        keepalive_timeout=_KEEPALIVE_S, lingering_time=_LINGER_S,
        shutdown_timeout=float(config.core.shutdown_grace_seconds),
    )


def _tune_garbage_collector() -> None:
    """Keep garbage collection off the path of calls: the objects of the start-up are never scanned again, and calls,
    which leave hardly any cycles behind, start a collection less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then let calls in flight end within `core.shutdown_grace_seconds`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics = Metrics()
    runner = public_runner(config, metrics)
    watchers = Tasks()
    admin = web.AppRunner(admin_app(metrics.registry), access_log=None)
    try:
        if config.core.admin_port and config.telemetry.prometheus.enabled:
            await admin.setup()
            await web.TCPSite(admin, config.core.admin_host, config.core.admin_port).start()
        await runner.setup()
        await web.TCPSite(runner, config.core.host, config.core.port, backlog=_BACKLOG).start()
        watchers.spawn(close_silent_connections(runner), name="close_silent_connections")
        watchers.spawn(reset_stalled_connections(runner), name="reset_stalled_connections")
        _tune_garbage_collector()
        log.info("gateway_listening", host=config.core.host, port=config.core.port)
        await stop.wait()
    finally:
        await watchers.close()
        await runner.cleanup()
        await admin.cleanup()
