"""{core.upload_path}/{server}: files over plain HTTP, all of a request or none."""

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import BLOBS, CONFIG, QUEUE, SIGNER
from longshore.gateway.auth.rate_limiter import RequestSlot
from longshore.gateway.files.uploaded import describe_uploads
from longshore.gateway.http.rate_limits import rate_limited
from longshore.gateway.http.uploads import page, resumable
from longshore.gateway.http.uploads.authorization import Grant, authorize, claimed, counted
from longshore.gateway.http.uploads.incoming import Received, check_coding
from longshore.gateway.http.uploads.multipart import MOST_FILES, MOST_FORM_BYTES, receive
from longshore.gateway.http.uploads.raw_body import check_raw, receive_raw
from longshore.gateway.http.uploads.reservations import declared_bytes, reserved
from longshore.gateway.http.uploads.tus_headers import VERSION_HEADER
from longshore.gateway.metrics import METRICS
from longshore.gateway.request_context import context_of
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
from longshore.shared.jobs import FinaliseUpload, UploadsDone
from longshore.shared.records import UploadRecord
from longshore.shared.state.quota import FileLimits
from longshore.shared.storage import layout

_FINALISE_S = 30.0
_encode = msgspec.json.Encoder().encode

Receive = Callable[[web.Request, list[Received]], Awaitable[None]]


async def upload(request: web.Request) -> web.StreamResponse:
    """POST: a form of files, or the beginning of a resumable upload.

    Receives, finalises, answers with handles; everything is checked before the body is read.
    """
    with counted(request) as server:
        if VERSION_HEADER in request.headers:
            return await resumable.create(request, server)
        _check_form(request)
        return await serve(request, server, await authorize(request, server), receive)


async def show(request: web.Request) -> web.StreamResponse:
    """GET: the page of a link that somebody opens in a browser. Raises Forbidden for a link that is none."""
    if not page.is_wanted(request.headers):
        raise NotAcceptable("open this link in a browser, or send files by POST or PUT")
    with counted(request) as server:
        if "sig" not in request.query:
            raise BadRequest("open the whole link that you were given")
        _ = request.app[SIGNER].verify(request.query, purpose="upload", server=server, target="", now_s=now_s())
        text = page.upload_page(request.app[CONFIG], server)
        return web.Response(text=text, content_type="text/html", headers=page.HEADERS)


async def put(request: web.Request) -> web.StreamResponse:
    """PUT …[/{filename}]: one file as it is, for scripts. Answers as a form of one file."""
    with counted(request) as server:
        check_raw(request)
        check_fits(request, request.content_length)
        return await serve(request, server, await authorize(request, server), receive_raw)


def _check_form(request: web.Request) -> None:
    if request.content_type != "multipart/form-data":
        raise WrongMediaType("send the files as multipart/form-data, in fields named file")
    check_coding(request.headers)
    if request.content_length is not None:
        files_bytes = request.content_length - MOST_FORM_BYTES
        check_fits(request, files_bytes)
        if files_bytes > MOST_FILES * request.app[CONFIG].uploads.max_file_bytes:
            raise TooLarge(f"one request may hold {MOST_FILES} files, each within uploads.max_file_bytes")


def check_fits(request: web.Request, size_bytes: int | None) -> None:
    """Raise OverQuota for files that cannot fit."""
    if size_bytes is not None:
        FileLimits.of(request.app[CONFIG]).check_possible(size_bytes)


async def serve(request: web.Request, server: str, grant: Grant, receive_body: Receive) -> web.StreamResponse:
    """Take the body in, finalise what `receive_body` makes of it, and answer with handles."""
    limits = rate_limited(request, "transfer", scope=grant.scope)
    room = reserved(request, grant.scope, declared_bytes(request))
    async with limits as passage, claimed(request, grant, server) as made, room as reservation:
        order = FinaliseUpload(scope=grant.scope, server=server, files=[], reservation=reservation)
        records = await _take_in(request, passage, receive_body, order)
        made += [record.id for record in records]
    request.app[METRICS].uploaded(server=server, files=len(records), size_bytes=sum(r.size_bytes for r in records))
    answer = describe_uploads(request.app[CONFIG].uploads.uri_scheme, server, grant.scope, records)
    if page.is_wanted(request.headers):
        return web.Response(text=page.sent_page(answer), content_type="text/html", headers=page.HEADERS)
    return web.Response(body=_encode(answer), content_type="application/json")


async def _take_in(
    request: web.Request, passage: RequestSlot, receive_body: Receive, order: FinaliseUpload
) -> list[UploadRecord]:
    blobs = request.app[BLOBS]
    received: list[Received] = []
    counts = context_of(request).counts
    try:
        await receive_body(request, received)
        counts["finalising"] = 1
        order = msgspec.structs.replace(order, files=[part.staged() for part in received])
        try:
            outcome = await request.app[QUEUE].run(order, timeout_s=_FINALISE_S)
        except (WorkerDown, StoreDown):      # the job may run all the same
            raise
        except LongshoreError:
            del counts["finalising"]     # refused: known to have left nothing
            raise
    except BaseException:
        for part in received:
            await part.writer.abort()
        await blobs.discard(*(layout.staging_parts(part.writer_name) for part in received))
        raise
    finally:
        passage.size_bytes = sum(part.size_bytes for part in received)
    if not isinstance(outcome, UploadsDone):
        raise WorkerDown("the storage worker answered something else than an upload; try again")
    return outcome.records
