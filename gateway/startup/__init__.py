"""Start-up of the gateway: one cleanup context for each resource, opened in order and closed in reverse."""

from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry

from longshore.gateway.files.fetching import FetchPolicy
from longshore.gateway.startup.authentication import authentication, rate_limits
from longshore.gateway.startup.calls import suspended_calls
from longshore.gateway.startup.files import storage, upload_pages, url_fetching
from longshore.gateway.startup.messaging import messaging
from longshore.gateway.startup.redis import job_queue, redis_link, redis_stores
from longshore.gateway.startup.telemetry import background_tasks, telemetry
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
