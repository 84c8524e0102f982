"""Small files that come within a call: `data:` URIs become uploads, and handles take their place."""

from typing import Any

from gateway.appkeys import BLOBS, METRICS, QUEUE
from gateway.files import data_uris
from gateway.files.data_uris import Inline, Place
from gateway.files.handles import upload_handle
from gateway.mcp.exchange import Exchange
from gateway.tools import own
from shared import ids, layout
from shared.config import UploadConsumer
from shared.errors import ToolInputError, WorkerDown
from shared.jobs import FinaliseUpload, StagedFile, UploadsDone
from shared.records import UploadRecord
from shared.state.quota import FileLimits

_FINALISE_S = 30.0


async def store(exchange: Exchange, given: dict[str, Any], consumers: tuple[UploadConsumer, ...]) -> None:
    """Make every `data:` URI in a file argument an upload, all or none, and put its handle there.

    Raises ToolInputError for one that is malformed or too large, and as uploads do.
    """
    places = [place for adapter in consumers for place in data_uris.find(given, adapter)]
    if not places:
        return
    files = [_checked(exchange, place) for place in places]
    FileLimits.of(exchange.config).check_possible(sum(len(file.data) for file in files))
    records = await _uploaded(exchange, files)
    server = exchange.caller.server
    exchange.request.app[METRICS].uploaded(
        server=server, files=len(records), size_bytes=sum(record.size_bytes for record in records)
    )
    for place, record in zip(places, records, strict=True):
        place.fill(upload_handle(exchange.config.uploads.uri_scheme, record))


def _checked(exchange: Exchange, place: Place) -> Inline:
    limit = min(exchange.config.uploads.data_uri_max_bytes, exchange.config.uploads.max_file_bytes)
    if limit > 0 and data_uris.least_bytes(place.uri) <= limit:
        file = data_uris.decode(place.uri)
        if len(file.data) <= limit:
            return file
    tool = own.upload_tool_name(exchange.mounted.server)
    what = f"a data: URI may hold {limit} bytes here" if limit > 0 else "data: URIs are not taken here"
    raise ToolInputError(f"{what}; call {tool}, upload the file to the link that it returns, and pass the handle")


async def _uploaded(exchange: Exchange, files: list[Inline]) -> list[UploadRecord]:
    blobs, staged = exchange.request.app[BLOBS], [ids.new_id() for _ in files]
    try:
        parts = [await _staged(exchange, name, file) for name, file in zip(staged, files, strict=True)]
        order = FinaliseUpload(scope=exchange.caller.session_id, server=exchange.caller.server, files=parts)
        outcome = await exchange.request.app[QUEUE].run(order, timeout_s=_FINALISE_S)
    except BaseException:
        await blobs.discard(*map(layout.staging_parts, staged))
        raise
    if not isinstance(outcome, UploadsDone):
        raise WorkerDown("the storage worker answered something else than an upload; try again")
    return outcome.records


async def _staged(exchange: Exchange, name: str, file: Inline) -> StagedFile:
    writer = exchange.request.app[BLOBS].writer(name)
    try:
        await writer.write(file.data)
        size_bytes, sha256 = await writer.finish()
    except BaseException:
        await writer.abort()
        raise
    return StagedFile(
        id=name, staged_name=name, name=file.name, stored_name=file.name, media_type=file.media_type,
        size_bytes=size_bytes, sha256=sha256,
    )
