"""Start-up of the storage volume, the upload pages, and the client that fetches files by URL."""

from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from longshore.gateway.appkeys import BLOBS, CONFIG
from longshore.gateway.files.fetching import FETCHER, Fetcher, FetchPolicy
from longshore.gateway.http.uploads.page import UPLOAD_PAGES, load_pages
from longshore.shared.storage.blobs import Blobs


async def storage(app: web.Application) -> AsyncIterator[None]:
    """Storage volume, with the threads that read and write it."""
    config = app[CONFIG].storage
    blobs = app[BLOBS] = Blobs(Path(config.root), dir_mode=config.dir_mode, file_mode=config.file_mode)
    await blobs.create_folders()
    yield
    blobs.close()


async def upload_pages(app: web.Application) -> AsyncIterator[None]:
    """HTML pages for upload links."""
    app[UPLOAD_PAGES] = await load_pages()
    yield


async def url_fetching(app: web.Application, *, policy: FetchPolicy) -> AsyncIterator[None]:
    """Fetcher of files that clients name by URL."""
    fetcher = app[FETCHER] = Fetcher(policy)
    yield
    await fetcher.close()
