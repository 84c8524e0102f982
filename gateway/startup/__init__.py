"""Start-up of the gateway: one cleanup context for each resource, opened in order and closed in reverse."""

from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry

from longshore.gateway.files.fetching import FetchPolicy
from longshore.gateway.startup.messaging import messaging, suspended_calls
from longshore.gateway.startup.process import (
    authentication,
    background_tasks,
    storage,
    telemetry,
    upload_pages,
    url_fetching,
)
from longshore.gateway.startup.redis import job_queue, rate_limits, redis_link, redis_stores
from longshore.gateway.startup.upstreams import upstreams
from longshore.shared.config import Config

Resource = Callable[[web.Application], AsyncIterator[None]]


def resources(config: Config, registry: CollectorRegistry, fetch_policy: FetchPolicy) -> list[Resource]:
    """List the cleanup contexts of the application. Each uses only what those before it have opened."""
    fetching = [partial(url_fetching, policy=fetch_policy)] if config.files.openai_file_params else []
    return [
        partial(telemetry, registry=registry), background_tasks, *fetching, authentication, redis_link, rate_limits,
        redis_stores, job_queue, messaging, storage, upload_pages, upstreams, suspended_calls,
    ]
