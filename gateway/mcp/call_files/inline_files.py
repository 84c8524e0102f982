"""Files that come with a call itself, in it or behind a URL: they become uploads, and handles take their place."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from longshore.gateway.appkeys import BLOBS, QUEUE
from longshore.gateway.auth.client_address import client_address
from longshore.gateway.auth.rate_limiter import RATE_LIMITER, RequestSlot
from longshore.gateway.files import data_uris, openai_files
from longshore.gateway.files.data_uris import InlineFile
from longshore.gateway.files.fetching import FETCHER
from longshore.gateway.files.finalise import finalise_upload
from longshore.gateway.files.handles import handle_of, upload_handle
from longshore.gateway.files.openai_files import FileSlot, RemoteFile
from longshore.gateway.files.slots import Slot
from longshore.gateway.mcp.call_files.retry_state import RetryState
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.metrics import METRICS
from longshore.gateway.tools import own
from longshore.gateway.wire.protocol_errors import ToolInputError
from longshore.shared import ids
from longshore.shared.clock import monotonic_s
from longshore.shared.config import UploadConsumer
from longshore.shared.jobs import FinaliseUpload, StagedFile
from longshore.shared.records import UploadRecord
from longshore.shared.state.quota import FileLimits
from longshore.shared.storage import layout
from longshore.shared.storage.blob_writer import BlobWriter

_Stage = Callable[[str], Awaitable[StagedFile]]     # writes a file under this name


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How much a file that is fetched may hold, and until when."""

    most_bytes: int
    until_s: float


async def store(
    exchange: Exchange, given: dict[str, Any], consumers: tuple[UploadConsumer, ...], goes_on: RetryState | None
) -> None:
    """Make every file that stands in a file argument an upload, all or none, and put its handle there. What an
    earlier round of the call made is taken again.

    Raises ToolInputError for one that is malformed, too large or not to be had, and as uploads do.
    """
    places = [found for adapter in consumers for found in data_uris.find(given, adapter)]
    remote = [found for adapter in consumers for found in _remote(exchange, given, adapter)]
    filled: list[Slot] = [*places, *remote]
    if not filled:
        return
    scheme, scope = exchange.config.uploads.uri_scheme, exchange.caller.session_id
    if goes_on is not None and len(goes_on.uploads) == len(filled):
        for place, upload_id in zip(filled, goes_on.uploads, strict=True):
            place.fill(handle_of(scheme, scope, upload_id))
        return
    files = [_checked(exchange, found.value) for found in places]
    FileLimits.of(exchange.config).check_possible(sum(len(file.data) for file in files))
    stages = [_inline(exchange, file) for file in files]
    if remote:
        async with _transfer(exchange) as passage:
            records = await _uploaded(exchange, stages + _fetched(exchange, [found.file for found in remote], passage))
    else:
        records = await _uploaded(exchange, stages)
    server = exchange.caller.server
    exchange.request.app[METRICS].uploaded(
        server=server, files=len(records), size_bytes=sum(record.size_bytes for record in records)
    )
    for place, record in zip(filled, records, strict=True):
        place.fill(upload_handle(scheme, record))
    if goes_on is not None:
        goes_on.uploads = [record.id for record in records]


def _transfer(exchange: Exchange) -> AbstractAsyncContextManager[RequestSlot]:
    """What is fetched counts as if the caller had sent it."""
    request = exchange.request
    address = client_address(request.remote or "", request.headers, exchange.config.core.trusted_proxies)
    return request.app[RATE_LIMITER].slot("transfer", principal=exchange.caller.principal, address=address)


def _remote(exchange: Exchange, given: dict[str, Any], adapter: UploadConsumer) -> list[FileSlot]:
    return openai_files.find(given, adapter) if exchange.config.files.openai_file_params else []


def _checked(exchange: Exchange, uri: str) -> InlineFile:
    limit = min(exchange.config.uploads.data_uri_max_bytes, exchange.config.uploads.max_file_bytes)
    if limit > 0 and data_uris.min_bytes(uri) <= limit:
        file = data_uris.decode(uri)
        if not file.sha256 and exchange.config.uploads.require_sha256:
            raise ToolInputError("a data: URI needs its digest here: data:<media type>;sha256=<64 hex digits>;base64,…")
        if len(file.data) <= limit:
            return file
    tool = own.upload_tool_name(exchange.mount.server)
    what = f"a data: URI may hold {limit} bytes here" if limit > 0 else "data: URIs are not taken here"
    raise ToolInputError(f"{what}; call {tool}, upload the file to the link that it returns, and pass the handle")


async def _uploaded(exchange: Exchange, stages: list[_Stage]) -> list[UploadRecord]:
    blobs, staged = exchange.request.app[BLOBS], [ids.new_id() for _ in stages]
    try:
        parts = [await stage(name) for name, stage in zip(staged, stages, strict=True)]
        order = FinaliseUpload(scope=exchange.caller.session_id, server=exchange.caller.server, files=parts)
        return await finalise_upload(exchange.request.app[QUEUE], order)
    except BaseException:
        await blobs.discard(*map(layout.staging_parts, staged))
        raise


def _inline(exchange: Exchange, file: InlineFile) -> _Stage:
    async def stage(name: str) -> StagedFile:
        writer = exchange.request.app[BLOBS].writer(name)
        try:
            await writer.write(file.data)
            size_bytes, sha256 = await writer.finish()
            if file.sha256 not in ("", sha256):
                raise ToolInputError("the bytes of a data: URI do not have the sha256 that it states; encode it again")
        except BaseException:
            await writer.abort()
            raise
        return StagedFile(
            id=name, staged_name=name, name=file.name, stored_name=file.name, media_type=file.media_type,
            size_bytes=size_bytes, sha256=sha256,
        )

    return stage


def _fetched(exchange: Exchange, files: list[RemoteFile], passage: RequestSlot) -> list[_Stage]:
    limits = [exchange.config.uploads.max_file_bytes, *FileLimits.of(exchange.config).budgets]
    most_bytes = min(limit for limit in limits if limit is not None)
    until_s = monotonic_s() + exchange.request.app[FETCHER].total_s

    async def stage(file: RemoteFile, name: str) -> StagedFile:
        writer = exchange.request.app[BLOBS].writer(name)
        try:
            return await _fetch(exchange, file, name, writer, _Bounds(most_bytes, until_s))
        finally:
            passage.size_bytes += writer.size_bytes

    return [partial(stage, file) for file in files]


async def _fetch(exchange: Exchange, file: RemoteFile, name: str, writer: BlobWriter, bounds: _Bounds) -> StagedFile:
    try:
        said = await exchange.request.app[FETCHER].fetch(
            file.download_url, writer.write, max_bytes=bounds.most_bytes, timeout_s=bounds.until_s - monotonic_s()
        )
        size_bytes, sha256 = await writer.finish()
    except BaseException:
        await writer.abort()
        raise
    return StagedFile(
        id=name, staged_name=name, name=file.name, stored_name=file.name, media_type=file.mime_type or said,
        size_bytes=size_bytes, sha256=sha256,
    )
