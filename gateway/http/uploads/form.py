"""{core.upload_path}/{server}: receives the files of one request, all or none, and answers with their handles."""

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import BLOBS, CONFIG, QUEUE, SIGNER
from longshore.gateway.auth.rate_limiter import RequestSlot
from longshore.gateway.files.finalise import finalise_upload
from longshore.gateway.files.uploaded import describe_uploads
from longshore.gateway.http.rate_limits import rate_limited
from longshore.gateway.http.uploads import resumable
from longshore.gateway.http.uploads.authorization import LinkUse, UploadGrant, authorize, claimed_link, count_failures
from longshore.gateway.http.uploads.incoming import ReceivedFile, check_encoding
from longshore.gateway.http.uploads.multipart import MAX_FILES, MAX_FORM_BYTES, receive_form
from longshore.gateway.http.uploads.page import UPLOAD_PAGES, accepts_html
from longshore.gateway.http.uploads.raw_body import check_raw_body, receive_raw_body
from longshore.gateway.http.uploads.reservations import declared_bytes, reserved
from longshore.gateway.http.uploads.tus_headers import VERSION_HEADER
from longshore.gateway.metrics import METRICS
from longshore.shared.clock import now_s
from longshore.shared.errors import (
    BadRequest,
    LongshoreError,
    NotAcceptable,
    StoreDown,
    TooLarge,
    WorkerDown,
    WrongMediaType,
)
from longshore.shared.jobs import FinaliseUpload
from longshore.shared.records import UploadRecord
from longshore.shared.state.quota import FileLimits
from longshore.shared.storage import layout

_encode = msgspec.json.Encoder().encode

BodyReader = Callable[[web.Request, list[ReceivedFile]], Awaitable[None]]


async def post(request: web.Request) -> web.StreamResponse:
    """POST: upload a form of files, or create a tus upload. Everything is checked before the body is read."""
    with count_failures(request) as server:
        if VERSION_HEADER in request.headers:
            return await resumable.create(request, server)
        _check_form(request)
        return await receive_and_answer(request, server, await authorize(request, server), receive_form)


async def get(request: web.Request) -> web.StreamResponse:
    """GET: show the upload page of a signed link in a browser. Raises NotAcceptable, BadRequest, Forbidden."""
    if not accepts_html(request.headers):
        raise NotAcceptable("open this link in a browser, or send files by POST or PUT")
    with count_failures(request) as server:
        if "sig" not in request.query:
            raise BadRequest("open the complete link")
        _ = request.app[SIGNER].verify(request.query, purpose="upload", server=server, target="", now_s=now_s())
        return request.app[UPLOAD_PAGES].form(request.app[CONFIG], server)


async def put(request: web.Request) -> web.StreamResponse:
    """PUT …[/{filename}]: upload one file as a bare body. Answers as a form of one file does."""
    with count_failures(request) as server:
        check_raw_body(request)
        check_fits(request, request.content_length)
        return await receive_and_answer(request, server, await authorize(request, server), receive_raw_body)


def _check_form(request: web.Request) -> None:
    if request.content_type != "multipart/form-data":
        raise WrongMediaType("send the files as multipart/form-data, in fields named file")
    check_encoding(request.headers)
    if request.content_length is not None:
        files_bytes = request.content_length - MAX_FORM_BYTES
        check_fits(request, files_bytes)
        if files_bytes > MAX_FILES * request.app[CONFIG].uploads.max_file_bytes:
            raise TooLarge(f"one request may hold {MAX_FILES} files, each within uploads.max_file_bytes")


def check_fits(request: web.Request, size_bytes: int | None) -> None:
    """Raise OverQuota for files that fit into no budget, even an empty one."""
    if size_bytes is not None:
        FileLimits.of(request.app[CONFIG]).check_possible(size_bytes)


async def receive_and_answer(
    request: web.Request, server: str, grant: UploadGrant, read_body: BodyReader
) -> web.StreamResponse:
    """Receive the body by `read_body`, finalise its files, and answer with their handles."""
    limits = rate_limited(request, "transfer", scope=grant.scope)
    room = reserved(request, grant.scope, declared_bytes(request))
    async with limits as slot, claimed_link(request, grant, server) as use, room as reservation:
        order = FinaliseUpload(scope=grant.scope, server=server, files=[], reservation=reservation)
        records = await _receive_and_finalise(request, slot, read_body, order, use)
        use.file_ids += [record.id for record in records]
    request.app[METRICS].uploaded(server=server, files=len(records), size_bytes=sum(r.size_bytes for r in records))
    answer = describe_uploads(request.app[CONFIG].uploads.uri_scheme, server, grant.scope, records)
    if accepts_html(request.headers):
        return request.app[UPLOAD_PAGES].sent(answer)
    return web.Response(body=_encode(answer), content_type="application/json")


async def _receive_and_finalise(
    request: web.Request, slot: RequestSlot, read_body: BodyReader, order: FinaliseUpload, use: LinkUse
) -> list[UploadRecord]:
    blobs = request.app[BLOBS]
    received: list[ReceivedFile] = []
    try:
        await read_body(request, received)
        use.is_uncertain = True
        order = msgspec.structs.replace(order, files=[part.staged() for part in received])
        return await finalise_upload(request.app[QUEUE], order)
    except BaseException as err:
        if isinstance(err, LongshoreError) and not isinstance(err, WorkerDown | StoreDown):
            use.is_uncertain = False     # refused: nothing was stored
        for part in received:
            await part.writer.abort()
        await blobs.discard(*(layout.staging_parts(part.writer_name) for part in received))
        raise
    finally:
        slot.size_bytes = sum(part.size_bytes for part in received)
