"""Mounted servers: each `servers[]` entry with its upstream client, header rules, monitor and adapters."""

from dataclasses import dataclass

from aiohttp import web

from longshore.gateway.files.adapters import Adapters
from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.headers import HeaderRules
from longshore.gateway.upstream.health_probe import Monitor
from longshore.shared.config import Server


@dataclass(frozen=True)
class Mount:
    """One `servers[]` entry with the parts that were built for it at start-up."""

    server: Server
    client: UpstreamClient
    headers: HeaderRules
    monitor: Monitor
    adapters: Adapters


@dataclass
class Startup:
    """Progress of the start-up, as /healthz reports it."""

    waited_s: float = 0.0
    complete: bool = False


STARTUP = web.AppKey("startup", Startup)
SERVERS = web.AppKey("servers", dict[str, Mount])
