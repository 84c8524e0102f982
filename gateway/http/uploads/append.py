"""Appends the body of one tus request to a resumable upload, and finalises the file after its last byte."""

import asyncio
import contextlib
import hmac
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from longshore.gateway.appkeys import BLOBS, GRANTS, QUEUE, RESERVATIONS, RESUMABLE, TASKS
from longshore.gateway.auth.rate_limiter import RequestSlot
from longshore.gateway.files.finalise import finalise_upload
from longshore.gateway.http.uploads.authorization import consume_link
from longshore.gateway.http.uploads.incoming import send_continue
from longshore.gateway.http.uploads.raw_body import read_chunk
from longshore.gateway.http.uploads.tus_headers import Checksum
from longshore.gateway.metrics import METRICS
from longshore.shared import ids
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import (
    BadRequest,
    ChecksumMismatch,
    LongshoreError,
    SlowRequest,
    StoreDown,
    TooLarge,
    WorkerDown,
)
from longshore.shared.jobs import FinaliseUpload, StagedFile
from longshore.shared.state.resumable import Progress, ResumableStore, ResumableUpload
from longshore.shared.storage import layout
from longshore.shared.storage.part_writer import PartWriter

_WRITER_TTL_MS = 6_000       # a writer that renews nothing for so long has lost the upload
_RENEW_EVERY_S = 2.0
_READ_TIMEOUT_S = 60.0
_SAVE_EVERY_BYTES = 16 * 1024 * 1024   # the most that is lost when the gateway is killed


class UploadAppender:
    """One request that appends to an upload whose writer it is. `run` releases the upload in any case.

    A body with a checksum is all or nothing; of any other, the bytes that arrived before an error are kept.
    """

    def __init__(
        self, request: web.Request, capability: str, token: str, progress: Progress, checksum: Checksum
    ) -> None:
        self._request = request
        self._store = request.app[RESUMABLE]
        self._capability = capability
        self._token = token
        self._upload = progress.upload
        self._checksum = checksum
        self._start = self._saved_offset = self._received_offset = progress.offset
        self._saved_at_s = monotonic_s()

    async def run(self, slot: RequestSlot) -> int:
        """Append the body, and finalise the file when that was its last byte. Returns the new offset.

        Raises ChecksumMismatch, TooLarge, SlowRequest, UploadBusy, and the errors of `finish`.
        """
        upload = self._upload
        writer = self._request.app[BLOBS].part_writer(
            upload.file_id, offset=self._start, checksum=self._checksum.algorithm
        )
        try:
            try:
                await self._receive(writer)
                self._saved_offset = await self._flush_and_verify(writer)
            except BaseException:
                await self._release(writer)
                raise
            finally:
                slot.size_bytes = self._received_offset - self._start
            if self._saved_offset == upload.size_bytes:
                await finish(self._request, self._capability, self._token, upload, await writer.whole_sha256())
            else:
                await self._store.advance(self._capability, writer=self._token, offset=self._saved_offset)
        finally:
            await writer.close()
        return self._saved_offset

    async def _receive(self, writer: PartWriter) -> None:
        received_at_s = monotonic_s()
        while True:
            try:
                async with asyncio.timeout(_RENEW_EVERY_S):
                    chunk = await read_chunk(self._request.content)
            except TimeoutError:
                if monotonic_s() - received_at_s > _READ_TIMEOUT_S:
                    raise SlowRequest(
                        f"no byte of the file arrived for {_READ_TIMEOUT_S:g} seconds; continue the upload"
                    ) from None
                await self._save_offset(writer)
                continue
            if not chunk:
                return
            received_at_s = monotonic_s()
            if self._received_offset + len(chunk) > self._upload.size_bytes:
                raise TooLarge("the body exceeds the length that the upload was created with (Upload-Length)")
            unsaved_bytes = self._received_offset - self._saved_offset
            if received_at_s - self._saved_at_s > _RENEW_EVERY_S or unsaved_bytes >= _SAVE_EVERY_BYTES:
                await self._save_offset(writer)
            self._received_offset += len(chunk)
            await writer.write(chunk)

    async def _save_offset(self, writer: PartWriter) -> None:
        """Record the offset that is on disk, and stay the writer. Raises UploadBusy when another has taken over."""
        if not self._checksum.algorithm:
            self._saved_offset = await writer.flush()
        await self._store.advance(
            self._capability, writer=self._token, offset=self._saved_offset, lease_ms=_WRITER_TTL_MS
        )
        self._saved_at_s = monotonic_s()

    async def _flush_and_verify(self, writer: PartWriter) -> int:
        offset, checksum = await writer.flush(), self._checksum
        if checksum.algorithm and not hmac.compare_digest(await writer.checksum(), checksum.digest):
            raise ChecksumMismatch("the received bytes do not match Upload-Checksum; send them again")
        return offset

    async def _release(self, writer: PartWriter) -> None:
        if not self._checksum.algorithm:
            with contextlib.suppress(LongshoreError):    # then the offset saved last holds
                self._saved_offset = await writer.flush()
        with contextlib.suppress(LongshoreError):    # then the upload is released when the writer's TTL has passed
            await self._store.advance(self._capability, writer=self._token, offset=self._saved_offset)


async def append_body(
    request: web.Request, capability: str, slot: RequestSlot, *, offset: int, checksum: Checksum
) -> int:
    """Append the request's body to the upload at `offset`, and return the new offset.

    Raises NotFound, OffsetConflict, UploadBusy, and the errors of `UploadAppender.run`.
    """
    token, progress = await acquire_upload(request, capability, offset=offset)
    if progress.is_done:
        return offset
    await send_continue(request)
    return await UploadAppender(request, capability, token, progress, checksum).run(slot)


async def acquire_upload(request: web.Request, capability: str, *, offset: int | None) -> tuple[str, Progress]:
    """Become the upload's writer: returns the writer's token and the progress so far.

    Raises NotFound, OffsetConflict, UploadBusy.
    """
    token = ids.new_id()
    return token, await request.app[RESUMABLE].acquire(capability, writer=token, offset=offset, lease_ms=_WRITER_TTL_MS)


async def finish(
    request: web.Request, capability: str, token: str, upload: ResumableUpload, sha256: str = ""
) -> None:
    """Finalise the file of a complete upload, to the end even when the client disconnects meanwhile.

    Safe to repeat after an unknown outcome: the file keeps its id. `sha256` is read from the file where it is "".
    Raises BadRequest, WorkerDown, and the error that the job was refused with.
    """
    work = _finish(request.app, capability, token, upload, sha256)
    finishing: asyncio.Task[LongshoreError | None] = request.app[TASKS].start(_error_of(work), name="finish_resumable")
    if (error := await asyncio.shield(finishing)) is not None:
        raise error


async def _error_of(work: Coroutine[Any, Any, None]) -> LongshoreError | None:
    """Return the error that the work ended with: raised, it would be a failed task once its request has gone."""
    try:
        await work
    except LongshoreError as err:
        return err
    return None


async def _finish(app: web.Application, capability: str, token: str, upload: ResumableUpload, sha256: str) -> None:
    store, size = app[RESUMABLE], upload.size_bytes
    await store.advance(capability, writer=token, offset=size, lease_ms=_WRITER_TTL_MS)
    renewal = app[TASKS].start(_renew_writer(store, capability, token, size), name="keep_resumable")
    try:
        sha256 = sha256 or await app[BLOBS].sha256(*_possible_paths(upload))
        if upload.sha256 not in ("", sha256):
            raise BadRequest("the received file does not match its sha256; upload it again")
        if upload.nonce:
            await app[GRANTS].keep_place(upload.nonce, capability)
        _ = await finalise_upload(app[QUEUE], _order(upload, sha256))
    except (WorkerDown, StoreDown):
        renewal.cancel()
        await store.advance(capability, writer=token, offset=size)
        raise
    except LongshoreError:
        await discard_upload(app, capability, upload)
        raise
    finally:
        renewal.cancel()
    if upload.nonce:
        await consume_link(app, upload.nonce, upload.server, [upload.file_id])
    await store.advance(capability, writer=token, offset=size, is_done=True)
    app[METRICS].uploaded(server=upload.server, files=1, size_bytes=size)


async def _renew_writer(store: ResumableStore, capability: str, token: str, offset: int) -> None:
    """Stay the writer while the file is finalised, until cancelled."""
    while True:
        await asyncio.sleep(_RENEW_EVERY_S)
        with contextlib.suppress(LongshoreError):
            await store.advance(capability, writer=token, offset=offset, lease_ms=_WRITER_TTL_MS)


def _possible_paths(upload: ResumableUpload) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Paths of the whole file: in staging, or in storage after a job whose outcome never arrived."""
    stored_name = layout.safe_name(upload.name)
    return layout.staging_parts(upload.file_id), layout.upload_parts(upload.scope, upload.file_id, stored_name)


def _order(upload: ResumableUpload, sha256: str) -> FinaliseUpload:
    file = StagedFile(
        id=upload.file_id, staged_name=upload.file_id, name=upload.name, stored_name=layout.safe_name(upload.name),
        media_type=upload.media_type, size_bytes=upload.size_bytes, sha256=sha256,
    )
    return FinaliseUpload(scope=upload.scope, server=upload.server, files=[file], reservation=upload.reservation)


async def discard_upload(app: web.Application, capability: str, upload: ResumableUpload) -> None:
    """Remove all traces of an upload whose writer we are. Its link may create another in its place."""
    await app[RESUMABLE].delete(capability)
    if upload.reservation:
        app[RESERVATIONS].release(upload.scope, upload.reservation)
    await app[BLOBS].discard(layout.staging_parts(upload.file_id))
    if upload.nonce:
        await app[GRANTS].release(upload.nonce, capability=capability)
