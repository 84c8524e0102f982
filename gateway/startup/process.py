"""Start-up of the resources that need no Redis: telemetry, background tasks, authentication and files."""

from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry

from longshore.gateway.appkeys import BLOBS, CONFIG, TASKS, TRACES
from longshore.gateway.auth.authenticator import AUTHENTICATOR, Authenticator
from longshore.gateway.files.fetching import FETCHER, Fetcher, FetchPolicy
from longshore.gateway.http.uploads.page import UPLOAD_PAGES, load_pages
from longshore.shared.otlp.lifecycle import export_telemetry
from longshore.shared.storage.blobs import Blobs
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


async def authentication(app: web.Application) -> AsyncIterator[None]:
    """Authenticator, with its connections to the authorization server."""
    authenticator = app[AUTHENTICATOR] = Authenticator(app[CONFIG], app[TASKS])
    yield
    await authenticator.close()


async def storage(app: web.Application) -> AsyncIterator[None]:
    """Storage volume, with the threads that read and write it."""
    config = app[CONFIG].storage
    blobs = app[BLOBS] = Blobs(Path(config.root), dir_mode=config.dir_mode, file_mode=config.file_mode)
    await blobs.create_folders()
    yield
    blobs.close()


async def url_fetching(app: web.Application, *, policy: FetchPolicy) -> AsyncIterator[None]:
    """Fetcher of files that clients name by URL."""
    fetcher = app[FETCHER] = Fetcher(policy)
    yield
    await fetcher.close()


async def upload_pages(app: web.Application) -> AsyncIterator[None]:
    """HTML pages for upload links."""
    app[UPLOAD_PAGES] = await load_pages()
    yield
