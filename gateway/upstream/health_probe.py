"""Health probe of an upstream: handshake and tool list at start-up, repeated until it is ready."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from longshore.gateway.upstream import tool_listing
from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.header_schemas import HeaderSchemas
from longshore.gateway.upstream.rpc import CredentialsRequired
from longshore.shared.backoff import Backoff
from longshore.shared.clock import monotonic_s
from longshore.shared.config import Server
from longshore.shared.errors import LongshoreError, UpstreamDown

log = structlog.get_logger(__name__)

Readiness = Literal["starting", "ready", "unreachable", "waits_for_caller"]

_PROBE_TIMEOUT_S = 10.0
_BACKOFF = Backoff(0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass
class Monitor:
    """State of one upstream. Written by its probe and by requests, read by health checks and start-up."""

    server: Server
    readiness: Readiness = "starting"
    detail: str = ""
    era: Literal["modern", "legacy"] | None = None     # None: not known
    era_found_s: float = 0.0                           # by the monotonic clock
    era_from_other_gateway: bool = False               # read from Redis, not probed here
    era_needs_recheck: bool = False
    is_modern_only: bool = False                       # it refuses `initialize`
    server_info: bytes = b""                           # `serverInfo` of `initialize` as JSON, b"" for none
    latency_ms: float | None = None
    tools: frozenset[str] = frozenset()
    headers: HeaderSchemas = field(default_factory=HeaderSchemas)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)    # output schemas, by tool
    is_settled: asyncio.Event = field(default_factory=asyncio.Event)    # ready, or waiting for a caller
    needs_probe: asyncio.Event = field(default_factory=asyncio.Event)   # set by requests that doubt the state

    @property
    def missing_tools(self) -> list[str]:
        """Names of tools that adapters refer to and the upstream does not list."""
        if self.readiness != "ready":
            return []
        named = {tool for adapter in self.server.adapters for tool in adapter.tools}
        return sorted(named - self.tools)

    @property
    def adapters_ready(self) -> bool:
        """True once the upstream is ready and lists every tool that an adapter names."""
        return self.readiness == "ready" and not self.missing_tools

    def settle(self, readiness: Readiness, detail: str = "") -> None:
        """Store the outcome of a probe; log it if it changed."""
        if readiness != self.readiness:
            level = log.info if readiness == "ready" else log.warning
            level("upstream_changed", server=self.server.id, readiness=readiness, detail=detail)
        self.readiness, self.detail = readiness, detail
        if readiness in ("ready", "waits_for_caller"):
            self.is_settled.set()


async def watch(monitor: Monitor, client: UpstreamClient, on_settled: Callable[[Monitor], None]) -> None:
    """Probe until the upstream is ready, and again whenever `needs_probe` is set. Ends only by cancellation.

    A server that requires a caller's headers is probed with those of its first caller.
    """
    while True:
        failures = 0
        while not monitor.is_settled.is_set():
            await probe(monitor, client)
            if not monitor.is_settled.is_set():
                failures += 1
                await asyncio.sleep(_BACKOFF.delay_s(failures))
        on_settled(monitor)
        await monitor.needs_probe.wait()
        monitor.needs_probe.clear()
        monitor.era_needs_recheck = True
        monitor.is_settled.clear()


async def probe(monitor: Monitor, client: UpstreamClient, caller_headers: dict[str, str] | None = None) -> None:
    """Probe once: handshake and tool list in a session that is ended again. Never raises a LongshoreError.

    `caller_headers` are those of the first caller, for an upstream that requires them.
    """
    server = monitor.server
    if server.upstream.client_headers.required and caller_headers is None:
        monitor.settle("waits_for_caller", "needs headers of a caller")
        return
    started = monotonic_s()
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            await _list_tools(monitor, client, {**(caller_headers or {}), **server.upstream.static_headers})
    except TimeoutError:
        monitor.settle("unreachable", f"no answer within {_PROBE_TIMEOUT_S:.0f} s")
    except CredentialsRequired as err:
        may_come = caller_headers is None and server.upstream.client_headers.passthrough
        monitor.settle("waits_for_caller" if may_come else "unreachable", str(err))
    except LongshoreError as err:
        monitor.settle("unreachable", str(err))
    else:
        monitor.latency_ms = (monotonic_s() - started) * 1000
        monitor.settle("ready")
        if monitor.missing_tools:
            log.warning("adapter_tools_missing", server=server.id, tools=monitor.missing_tools)


async def _list_tools(monitor: Monitor, client: UpstreamClient, extra: dict[str, str]) -> None:
    """List the tools as a legacy client; if the server refuses, as a modern client."""
    is_modern_only = False
    try:
        listed = await tool_listing.list_legacy(client, extra)
    except CredentialsRequired:
        raise
    except UpstreamDown as refused:
        try:
            listed = await tool_listing.list_modern(client, extra)
        except UpstreamDown:
            raise refused from None
        is_modern_only = True
    monitor.is_modern_only = is_modern_only
    monitor.server_info, tools = listed.server_info, listed.tools
    monitor.tools = frozenset(tool.name for tool in tools)
    monitor.outputs = {tool.name: tool.output for tool in tools if isinstance(tool.output, dict)}
    if broken := monitor.headers.replace(tools, ""):
        log.warning("tool_headers_malformed", server=monitor.server.id, tools=broken)
