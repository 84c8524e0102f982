"""Staged files of one call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from longshore.gateway.appkeys import BLOBS
from longshore.gateway.mcp.exchange import Exchange
from longshore.shared.storage.blob_writer import BlobWriter


@asynccontextmanager
async def staging_writer(exchange: Exchange, name: str) -> AsyncIterator[BlobWriter]:
    """Open a writer of the new staged file `name`, which is removed if the block fails."""
    writer = exchange.request.app[BLOBS].writer(name)
    try:
        yield writer
    except BaseException:
        await writer.abort()
        raise
