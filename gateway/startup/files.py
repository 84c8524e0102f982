"""Start-up of the storage volume, and of the client that fetches files by URL."""

from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from longshore.gateway.appkeys import BLOBS, CONFIG
from longshore.gateway.files.fetching import FETCHER, Fetcher, FetchPolicy
from longshore.shared.storage.blobs import Blobs


async def storage(app: web.Application) -> AsyncIterator[None]:
    """Storage volume, with the threads that read and write it."""
    config = app[CONFIG].storage
    blobs = app[BLOBS] = Blobs(Path(config.root), dir_mode=config.dir_mode, file_mode=config.file_mode)
    await blobs.prepare()
    yield
    blobs.close()


async def url_fetching(app: web.Application, *, policy: FetchPolicy) -> AsyncIterator[None]:
    """Fetcher of files that clients name by URL."""
    fetcher = app[FETCHER] = Fetcher(policy)
    yield
    await fetcher.close()
