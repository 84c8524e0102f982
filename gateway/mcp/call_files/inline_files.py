"""Files in the arguments of a call (`data:` URIs) or behind a URL in them: uploaded, and replaced by their handles."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
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
from longshore.gateway.files.handles import handle_of
from longshore.gateway.files.openai_files import FileSlot, RemoteFile
from longshore.gateway.files.slots import Slot
from longshore.gateway.mcp.call_files.retry_state import RetryState
from longshore.gateway.mcp.call_files.staging import staging_writer
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

_Stage = Callable[[str], Awaitable[StagedFile]]     # writes a file to staging under this name


async def store_inline_files(
    exchange: Exchange, given: dict[str, Any], consumers: tuple[UploadConsumer, ...], retry: RetryState | None
) -> None:
    """Upload every file in the file arguments `given`, all or none, and replace it by its handle.

    A retry uses the uploads of the request before. Raises ToolInputError for a file that is malformed, too large or
    cannot be fetched, and as uploads do.
    """
    inline = [slot for adapter in consumers for slot in data_uris.find(given, adapter)]
    remote = [slot for adapter in consumers for slot in _find_remote(exchange, given, adapter)]
    slots: list[Slot] = [*inline, *remote]
    if not slots:
        return
    if retry is not None and len(retry.uploads) == len(slots):
        upload_ids = retry.uploads
    else:
        upload_ids = [record.id for record in await _upload(exchange, inline, remote)]
    for slot, upload_id in zip(slots, upload_ids, strict=True):
        slot.fill(handle_of(exchange.config.uploads.uri_scheme, exchange.caller.session_id, upload_id))
    if retry is not None:
        retry.uploads = upload_ids


def _find_remote(exchange: Exchange, given: dict[str, Any], adapter: UploadConsumer) -> list[FileSlot]:
    return openai_files.find(given, adapter) if exchange.config.files.openai_file_params else []


async def _upload(exchange: Exchange, inline: Sequence[Slot], remote: Sequence[FileSlot]) -> list[UploadRecord]:
    files = [_decode(exchange, slot.value) for slot in inline]
    FileLimits.of(exchange.config).check_possible(sum(len(file.data) for file in files))
    stages: list[_Stage] = [partial(_stage, exchange, file) for file in files]
    async with AsyncExitStack() as stack:
        if remote:
            request_slot = await stack.enter_async_context(_transfer_slot(exchange))
            limits = _FetchLimits.of(exchange)
            stages += [partial(_fetch, exchange, slot.file, limits, request_slot) for slot in remote]
        records = await _finalise(exchange, stages)
    exchange.request.app[METRICS].uploaded(
        server=exchange.caller.server, files=len(records), size_bytes=sum(record.size_bytes for record in records)
    )
    return records


def _decode(exchange: Exchange, uri: str) -> InlineFile:
    """Decode a `data:` URI. Raises ToolInputError where it is malformed, too large or lacks its digest."""
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


def _transfer_slot(exchange: Exchange) -> AbstractAsyncContextManager[RequestSlot]:
    """Rate limit the fetch of files as if the caller had uploaded them."""
    request = exchange.request
    address = client_address(request.remote or "", request.headers, exchange.config.core.trusted_proxies)
    return request.app[RATE_LIMITER].slot("transfer", principal=exchange.caller.principal, address=address)


async def _finalise(exchange: Exchange, stages: Sequence[_Stage]) -> list[UploadRecord]:
    """Stage the files one after the other and finalise them together."""
    blobs, names = exchange.request.app[BLOBS], [ids.new_id() for _ in stages]
    try:
        files = [await stage(name) for name, stage in zip(names, stages, strict=True)]
        order = FinaliseUpload(scope=exchange.caller.session_id, server=exchange.caller.server, files=files)
        return await finalise_upload(exchange.request.app[QUEUE], order)
    except BaseException:
        await blobs.discard(*map(layout.staging_parts, names))
        raise


async def _stage(exchange: Exchange, file: InlineFile, name: str) -> StagedFile:
    async with staging_writer(exchange, name) as writer:
        await writer.write(file.data)
        size_bytes, sha256 = await writer.finish()
        if file.sha256 not in ("", sha256):
            raise ToolInputError("the bytes of a data: URI do not have the sha256 that it states; encode it again")
    return StagedFile(
        id=name, staged_name=name, name=file.name, stored_name=file.name, media_type=file.media_type,
        size_bytes=size_bytes, sha256=sha256,
    )


@dataclass(frozen=True, slots=True)
class _FetchLimits:
    """Size of each file, and time for all of them."""

    max_bytes: int
    until_s: float

    @classmethod
    def of(cls, exchange: Exchange) -> "_FetchLimits":
        limits = [exchange.config.uploads.max_file_bytes, *FileLimits.of(exchange.config).budgets]
        return cls(
            min(limit for limit in limits if limit is not None), monotonic_s() + exchange.request.app[FETCHER].total_s
        )


async def _fetch(
    exchange: Exchange, file: RemoteFile, limits: _FetchLimits, request_slot: RequestSlot, name: str
) -> StagedFile:
    async with staging_writer(exchange, name) as writer:
        try:
            media_type = await exchange.request.app[FETCHER].fetch(
                file.download_url, writer.write, max_bytes=limits.max_bytes, timeout_s=limits.until_s - monotonic_s()
            )
            size_bytes, sha256 = await writer.finish()
        finally:
            request_slot.size_bytes += writer.size_bytes
    return StagedFile(
        id=name, staged_name=name, name=file.name, stored_name=file.name, media_type=file.mime_type or media_type,
        size_bytes=size_bytes, sha256=sha256,
    )
