"""The gateway process: builds the application, listens, and drains when it is told to stop."""

import asyncio
import gc
import signal
from functools import partial

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
from longshore.shared.config import Config
from longshore.shared.metrics import Metrics
from longshore.shared.tasks import Tasks

log = structlog.get_logger(__name__)

_KEEPALIVE_S = 75.0          # longer than balancers keep theirs, so that they close first
_BACKLOG = 1024
_GUARD = FetchPolicy()
_LINGER_S = 1.0              # how long an unwanted body is still read, so that its sender sees the refusal


def build(config: Config, metrics: Metrics, guard: FetchPolicy = _GUARD) -> web.Application:
    """The application. Needs a running loop; nothing is opened before it starts."""
    app = web.Application(middlewares=[edge], client_max_size=config.core.max_body_bytes)
    app[CONFIG] = config
    app[METRICS], app[PROCESS_METRICS] = GatewayEvents(metrics.gateway), metrics.process
    app[STARTUP] = Startup()
    streams = app[STREAMS] = Streams()
    app[CANCELLATIONS] = Cancellations()
    app[METRICS].watch_open_streams(lambda: streams.count)
    app[LIST_CACHE] = ListCache(config.core.upstream_metadata_cache_ttl_seconds)
    app[ORIGINS] = Origins.of(config)
    app.on_response_prepare.append(note_head)
    if config.core.cors.enabled:
        app.on_response_prepare.append(add_cors_headers)
    startup.wire(app)
    app.cleanup_ctx.append(partial(startup.telemetry, registry=metrics.registry))
    if config.files.openai_file_params:
        app.cleanup_ctx.append(partial(startup.fetching, guard=guard))
    app.cleanup_ctx.extend([
        startup.background, startup.access, startup.state, startup.mail, startup.storage, startup.upstreams,
        startup.asking,
    ])
    app.on_shutdown.append(_drain)
    return app


async def _drain(app: web.Application) -> None:
    """No more connections are taken: calls may end, and streams that would never end by themselves are ended."""
    app[STREAMS].end()


def public_runner(config: Config, metrics: Metrics, guard: FetchPolicy = _GUARD) -> web.AppRunner:
    """The public side as it is served. `guard` is what files by URL may be fetched from."""
    return PublicRunner(
        build(config, metrics, guard), handler_cancellation=True, access_log=None, keepalive_timeout=_KEEPALIVE_S,
        lingering_time=_LINGER_S, shutdown_timeout=float(config.core.shutdown_grace_seconds),
    )


def _spare_collector() -> None:
    """Keep garbage collection off the calls' path: what start-up built is never looked at again, and calls,
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
    watching = Tasks()
    admin = web.AppRunner(admin_app(metrics.registry), access_log=None)
    try:
        if config.core.admin_port and config.telemetry.prometheus.enabled:
            await admin.setup()
            await web.TCPSite(admin, config.core.admin_host, config.core.admin_port).start()
        await runner.setup()
        await web.TCPSite(runner, config.core.host, config.core.port, backlog=_BACKLOG).start()
        watching.spawn(close_silent_connections(runner), name="drop_silent")
        watching.spawn(reset_stalled_connections(runner), name="let_slow_readers_go")
        _spare_collector()
        log.info("gateway_listening", host=config.core.host, port=config.core.port)
        await stop.wait()
    finally:
        await watching.close()
        await runner.cleanup()
        await admin.cleanup()
