"""The bytes of one request onto a resumable upload, and what follows its last one."""

import asyncio
import contextlib
import hmac
from collections.abc import Coroutine
from typing import Any

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import BLOBS, GRANTS, QUEUE, RESERVATIONS, RESUMABLE, TASKS
from longshore.gateway.auth.rate_limiter import RequestSlot
from longshore.gateway.http.uploads.authorization import consume
from longshore.gateway.http.uploads.raw_body import piece
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

WRITE_MS = 6_000             # a writer that says nothing for so long is taken for dead
_FINALISE_S = 30.0
_TICK_S = 2.0
_SILENCE_S = 60.0
_NOTE_BYTES = 16 * 1024 * 1024   # what a gateway that is killed may lose at most


class Appending:
    """One request that writes an upload which it has taken. `run` gives it back, whatever happens."""

    def __init__(self, request: web.Request, capability: str, writer: str, progress: Progress) -> None:
        self._request = request
        self._store = request.app[RESUMABLE]
        self._capability = capability
        self._token = writer
        self._upload = progress.upload
        self._start = self._noted = self._taken = progress.offset
        self._noted_s = monotonic_s()

    async def run(self, passage: RequestSlot, checksum: Checksum) -> int:
        """Take the body in, and make the file visible when that was its last byte. Returns the new offset.

        What came before the client broke off is kept, unless there is a checksum that it cannot pass.
        Raises ChecksumMismatch, TooLarge, SlowRequest, UploadBusy, and what finalising may.
        """
        upload = self._upload
        writer = self._request.app[BLOBS].part_writer(
            upload.file_id, offset=self._start, checksum=checksum.algorithm
        )
        try:
            try:
                await self._receive(writer, keep=not checksum.algorithm)
                self._noted = await self._flushed(writer, checksum)
            except BaseException:
                await self._let_go(writer, keep=not checksum.algorithm)
                raise
            finally:
                passage.size_bytes = self._taken - self._start
            if self._noted == upload.size_bytes:
                order = _order(upload)
                sha256 = await writer.whole_sha256()
                await _finished(self._request, self._capability, self._token, upload, order, sha256)
            else:
                await self._store.advance(self._capability, writer=self._token, offset=self._noted)
        finally:
            await writer.close()
        return self._noted

    async def _receive(self, writer: PartWriter, *, keep: bool) -> None:
        heard_s = monotonic_s()
        while True:
            try:
                async with asyncio.timeout(_TICK_S):
                    chunk = await piece(self._request.content)
            except TimeoutError:
                if monotonic_s() - heard_s > _SILENCE_S:
                    raise SlowRequest(f"nothing of the file came for {_SILENCE_S:g} seconds; go on with it") from None
                await self._note(writer, keep=keep)
                continue
            if not chunk:
                return
            heard_s = monotonic_s()
            if self._taken + len(chunk) > self._upload.size_bytes:
                raise TooLarge("the body goes beyond the length that the upload was created with (Upload-Length)")
            if heard_s - self._noted_s > _TICK_S or self._taken - self._noted >= _NOTE_BYTES:
                await self._note(writer, keep=keep)
            self._taken += len(chunk)
            await writer.write(chunk)

    async def _note(self, writer: PartWriter, *, keep: bool) -> None:
        """Say that we still write, and how far we are on disk. Raises UploadBusy when another has taken over."""
        if keep:
            self._noted = await writer.flush()
        await self._store.advance(self._capability, writer=self._token, offset=self._noted, lease_ms=WRITE_MS)
        self._noted_s = monotonic_s()

    async def _flushed(self, writer: PartWriter, checksum: Checksum) -> int:
        offset = await writer.flush()
        if checksum.algorithm and not hmac.compare_digest(await writer.checksum(), checksum.digest):
            raise ChecksumMismatch("the bytes that arrived do not have the checksum that was sent; send them again")
        return offset

    async def _let_go(self, writer: PartWriter, *, keep: bool) -> None:
        if keep:
            with contextlib.suppress(LongshoreError):    # then the upload is where it was noted to be
                self._noted = await writer.flush()
        with contextlib.suppress(LongshoreError):    # then it is given back when the time of the writer is over
            await self._store.advance(self._capability, writer=self._token, offset=self._noted)


async def finish(request: web.Request, capability: str, token: str, upload: ResumableUpload) -> None:
    """Make the file of a complete upload visible. Safe to repeat after an outcome that is unknown: the file keeps
    its id. Raises BadRequest, WorkerDown, and what the worker refuses."""
    await _finished(request, capability, token, upload, _order(upload), "")


async def _finished(
    request: web.Request, capability: str, token: str, upload: ResumableUpload, order: FinaliseUpload, sha256: str
) -> None:
    """As `finish`, and to its end when the client leaves meanwhile. `sha256` is "" where it is not known."""
    work = _finish(request.app, capability, token, upload, order, sha256)
    finishing: asyncio.Task[LongshoreError | None] = request.app[TASKS].start(_told(work), name="finish_resumable")
    if (refusal := await asyncio.shield(finishing)) is not None:
        raise refusal


async def _told(work: Coroutine[Any, Any, None]) -> LongshoreError | None:
    """What refused the work: an error that nobody waits for any more is no failure of the task."""
    try:
        await work
    except LongshoreError as err:
        return err
    return None


async def _finish(
    app: web.Application, capability: str, token: str, upload: ResumableUpload, order: FinaliseUpload, sha256: str
) -> None:
    store, size = app[RESUMABLE], upload.size_bytes
    await store.advance(capability, writer=token, offset=size, lease_ms=WRITE_MS)
    keeper = app[TASKS].start(_keep(store, capability, token, size), name="keep_resumable")
    try:
        sha256 = sha256 or await app[BLOBS].sha256(*_places(upload))
        if upload.sha256 not in ("", sha256):
            raise BadRequest("the sha256 of the file does not match what arrived; upload it again")
        if upload.nonce:
            await app[GRANTS].keep_place(upload.nonce, capability)
        _ = await app[QUEUE].run(_with_digest(order, sha256), timeout_s=_FINALISE_S)
    except (WorkerDown, StoreDown):
        keeper.cancel()
        await store.advance(capability, writer=token, offset=size)
        raise
    except LongshoreError:
        await discard(app, capability, upload)
        raise
    finally:
        keeper.cancel()
    if upload.nonce:
        await consume(app, upload.nonce, upload.server, [upload.file_id])
    await store.advance(capability, writer=token, offset=size, is_done=True)
    app[METRICS].uploaded(server=upload.server, files=1, size_bytes=size)


async def _keep(store: ResumableStore, capability: str, token: str, offset: int) -> None:
    """Stay the writer while the file is finished."""
    while True:
        await asyncio.sleep(_TICK_S)
        with contextlib.suppress(LongshoreError):
            await store.advance(capability, writer=token, offset=offset, lease_ms=WRITE_MS)


def _places(upload: ResumableUpload) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where the whole file is: in staging, or moved by a finalisation whose outcome we never heard."""
    stored_name = layout.safe_name(upload.name)
    return layout.staging_parts(upload.file_id), layout.upload_parts(upload.scope, upload.file_id, stored_name)


def _with_digest(order: FinaliseUpload, sha256: str) -> FinaliseUpload:
    return msgspec.structs.replace(order, files=[msgspec.structs.replace(order.files[0], sha256=sha256)])


def _order(upload: ResumableUpload) -> FinaliseUpload:
    """The order, but for the digest."""
    file = StagedFile(
        id=upload.file_id, staged_name=upload.file_id, name=upload.name, stored_name=layout.safe_name(upload.name),
        media_type=upload.media_type, size_bytes=upload.size_bytes, sha256=upload.sha256,
    )
    return FinaliseUpload(scope=upload.scope, server=upload.server, files=[file], reservation=upload.reservation)


async def discard(app: web.Application, capability: str, upload: ResumableUpload) -> None:
    """Leave nothing of an upload whose writer we are; its link opens another in its place."""
    await app[RESUMABLE].delete(capability)
    if upload.reservation:
        app[RESERVATIONS].release(upload.scope, upload.reservation)
    await app[BLOBS].discard(layout.staging_parts(upload.file_id))
    if upload.nonce:
        await app[GRANTS].release(upload.nonce, capability=capability)


async def take(request: web.Request, capability: str, *, offset: int | None) -> tuple[str, Progress]:
    """Become the writer: its token, and where the upload is. Raises NotFound, OffsetConflict, UploadBusy."""
    token = ids.new_id()
    return token, await request.app[RESUMABLE].acquire(capability, writer=token, offset=offset, lease_ms=WRITE_MS)
