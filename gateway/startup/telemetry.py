"""Start-up of telemetry and of background tasks, which outlive every other resource."""

from collections.abc import AsyncIterator

from aiohttp import web
from prometheus_client import CollectorRegistry

from longshore.gateway.appkeys import CONFIG, TASKS, TRACES
from longshore.shared.otlp.lifecycle import export_telemetry
from longshore.shared.tasks import Tasks


async def telemetry(app: web.Application, *, registry: CollectorRegistry) -> AsyncIterator[None]:
    """Traces and OTLP exports, closed after everything that may still be traced."""
    async with export_telemetry(app[CONFIG], registry, role="gateway") as traces:
        app[TRACES] = traces
        yield


async def background_tasks(app: web.Application) -> AsyncIterator[None]:
    """Background tasks; those that still run are cancelled at the end."""
    tasks = app[TASKS] = Tasks()
    yield
    await tasks.close()
