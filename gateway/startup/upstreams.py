"""Start-up of the mounted servers: their routes, and the wait until their upstreams answer."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import structlog
from aiohttp import web

from longshore.gateway.appkeys import CONFIG, EXPIRY, TASKS
from longshore.gateway.files.adapters import Adapters
from longshore.gateway.http.routes import add_routes
from longshore.gateway.mcp.replies.event_streams import STREAMS
from longshore.gateway.metrics import METRICS, GatewayEvents
from longshore.gateway.mounts import SERVERS, STARTUP, Mount
from longshore.gateway.upstream import health_probe
from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.headers import HeaderRules
from longshore.gateway.upstream.health_probe import Monitor
from longshore.gateway.upstream.session_ender import end_sessions
from longshore.shared.clock import monotonic_s
from longshore.shared.config import Config, Server

log = structlog.get_logger(__name__)


def mount_servers(app: web.Application) -> None:
    """Mount the configured servers and add all routes: aiohttp takes none once the application has started."""
    config = app[CONFIG]
    servers = app[SERVERS] = {server.id: _mount(server, config) for server in config.servers}
    add_routes(app, config, servers)


def _mount(server: Server, config: Config) -> Mount:
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


async def upstreams(app: web.Application) -> AsyncIterator[None]:
    """Health probes and connections of the upstreams, opened after a first wait for their answers."""
    tasks, mounts, started_s = app[TASKS], app[SERVERS].values(), monotonic_s()
    for mount in mounts:
        probing = health_probe.watch(mount.monitor, mount.client, partial(_count_adapter_check, app[METRICS]))
        tasks.spawn(probing, name=f"watch_{mount.server.id}")
    clients = {mount.server.id: (mount.server, mount.client) for mount in mounts}
    tasks.spawn(app[STREAMS].keep_alive(), name="keep_streams_alive")
    tasks.spawn(end_sessions(app[EXPIRY], clients, tasks), name="end_upstream_sessions")
    await _wait_for_answers([mount.monitor for mount in mounts], app[CONFIG].core.max_start_wait_seconds)
    app[STARTUP].waited_s, app[STARTUP].complete = monotonic_s() - started_s, True
    yield
    for mount in mounts:
        await mount.client.close()


async def _wait_for_answers(monitors: list[Monitor], timeout_s: float) -> None:
    if timeout_s <= 0:
        return
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*(monitor.is_settled.wait() for monitor in monitors))
    except TimeoutError:
        waiting = [monitor.server.id for monitor in monitors if not monitor.is_settled.is_set()]
        log.warning("started_without_upstreams", servers=waiting, waited_s=timeout_s)


def _count_adapter_check(metrics: GatewayEvents, monitor: Monitor) -> None:
    metrics.adapter_check(server=monitor.server.id, ready=monitor.adapters_ready)
