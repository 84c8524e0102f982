"""{core.upload_path}/{server}/resumable/{upload}: files in several requests, by the tus protocol 1.0.0.

The address of an upload is its capability: whoever knows it may go on with the upload, end it, and see what
became of it, through any gateway. Nothing else is asked for there; a session header, when sent, must match.
"""

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import BLOBS, CONFIG, FILES, GRANTS, RESERVATIONS, RESUMABLE
from longshore.gateway.files.uploaded import describe_uploads
from longshore.gateway.http.rate_limits import rate_limited
from longshore.gateway.http.uploads import tus_headers
from longshore.gateway.http.uploads.append import Appending, discard, finish, take
from longshore.gateway.http.uploads.authorization import Grant, authorize, counted, reserve
from longshore.gateway.http.uploads.incoming import check_coding, check_size, digest_of, display_name, say_continue
from longshore.gateway.http.uploads.reservations import set_aside
from longshore.gateway.request_context import SESSION_HEADER
from longshore.shared import ids
from longshore.shared.clock import now_s
from longshore.shared.errors import BadRequest, Forbidden, MethodNotAllowed, NotFound, TooLarge
from longshore.shared.ids import is_id
from longshore.shared.records import UploadRecord
from longshore.shared.state.quota import FileLimits
from longshore.shared.state.resumable import Progress, ResumableUpload
from longshore.shared.storage import layout

_NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_encode = msgspec.json.Encoder().encode


async def options(request: web.Request) -> web.StreamResponse:
    """OPTIONS: what of the protocol is spoken."""
    with counted(request):
        uploads = request.app[CONFIG].uploads
        _check_enabled(request)
        return web.Response(status=204, headers=tus_headers.capabilities(max_size_bytes=uploads.max_file_bytes))


async def create(request: web.Request, server: str) -> web.StreamResponse:
    """POST on the server's path: begin an upload, with its first bytes where the request has some."""
    _check_enabled(request)
    tus_headers.check_version(request.headers)
    upload = _described(request, server)
    if has_body := request.can_read_body:
        tus_headers.check_media_type(request.content_type)
        check_coding(request.headers)
    checksum = tus_headers.checksum(request.headers.get("Upload-Checksum"))
    grant = await authorize(request, server)
    async with rate_limited(request, "transfer", scope=grant.scope) as passage:
        capability = await _begin(request, grant, upload)
        offset = 0
        if has_body or not upload.size_bytes:
            token, progress = await take(request, capability, offset=0)
            await say_continue(request)
            offset = await Appending(request, capability, token, progress).run(passage, checksum)
    # Relative, so that it holds under whatever name and prefix the client reached us.
    location = f"{request.path.rsplit('/', 1)[1]}/resumable/{capability}"
    headers = {"Location": location, **_headers(request, upload, offset), **_NO_STORE}
    return web.Response(status=201, headers=headers)


async def head(request: web.Request) -> web.StreamResponse:
    """HEAD: how far the upload has come. One that is complete, but was not finished then, is finished now."""
    with counted(request) as server:
        tus_headers.check_version(request.headers)
        progress = await _found(request, server)
        upload, capability = progress.upload, request.match_info["upload"]
        if progress.offset == upload.size_bytes and not progress.is_done:
            token, progress = await take(request, capability, offset=None)
            if not progress.is_done:
                await finish(request, capability, token, upload)
        headers = {**_headers(request, upload, progress.offset), "Upload-Length": str(upload.size_bytes), **_NO_STORE}
        if upload.metadata:
            headers["Upload-Metadata"] = upload.metadata
        return web.Response(headers=headers)


async def patch(request: web.Request) -> web.StreamResponse:
    """PATCH: the next bytes."""
    with counted(request) as server:
        tus_headers.check_version(request.headers)
        tus_headers.check_media_type(request.content_type)
        check_coding(request.headers)
        offset = tus_headers.number(request.headers, "Upload-Offset")
        checksum = tus_headers.checksum(request.headers.get("Upload-Checksum"))
        found, capability = await _found(request, server), request.match_info["upload"]
        coming_bytes = request.content_length or 0
        if offset == found.offset and offset + coming_bytes > found.upload.size_bytes:
            raise TooLarge("the body goes beyond the length that the upload was created with (Upload-Length)")
        async with rate_limited(request, "transfer", scope=found.upload.scope) as passage:
            token, progress = await take(request, capability, offset=offset)
            if not progress.is_done:
                await say_continue(request)
                offset = await Appending(request, capability, token, progress).run(passage, checksum)
        return web.Response(status=204, headers=_headers(request, found.upload, offset))


async def terminate(request: web.Request) -> web.StreamResponse:
    """DELETE: end an upload that is not complete, and unlink what came."""
    with counted(request) as server:
        tus_headers.check_version(request.headers)
        found, capability = await _found(request, server), request.match_info["upload"]
        _, progress = await take(request, capability, offset=None)
        if progress.is_done:
            raise NotFound("this upload is complete: its file lives on under its handle")
        await discard(request.app, capability, found.upload)
        return web.Response(status=204, headers={tus_headers.VERSION_HEADER: tus_headers.VERSION})


async def show(request: web.Request) -> web.StreamResponse:
    """GET: what became of the upload, as JSON: its handle once it is complete."""
    with counted(request) as server:
        progress = await _found(request, server)
        upload, records = progress.upload, list[UploadRecord]()
        if progress.is_done:
            found = await request.app[FILES].use(upload.scope, [upload.file_id])
            records = [record for record in found if isinstance(record, UploadRecord)]
        status = "complete" if progress.is_done else "receiving"
        scheme = request.app[CONFIG].uploads.uri_scheme
        shown = {
            "status": status, "offset": progress.offset, "size_bytes": upload.size_bytes,
            **describe_uploads(scheme, server, upload.scope, records),
        }
        return web.Response(body=_encode(shown), content_type="application/json", headers=_NO_STORE)


async def override(request: web.Request) -> web.StreamResponse:
    """POST: another method by the header X-HTTP-Method-Override, for clients that can send no other."""
    handler = {"PATCH": patch, "DELETE": terminate, "HEAD": head}.get(
        request.headers.get("X-HTTP-Method-Override", "").upper()
    )
    if handler is None:
        raise MethodNotAllowed("send PATCH, HEAD or DELETE, or one of them as X-HTTP-Method-Override")
    return await handler(request)


def _check_enabled(request: web.Request) -> None:
    if not request.app[CONFIG].uploads.resumable:
        raise BadRequest("resumable uploads are disabled here (uploads.resumable)")


def _described(request: web.Request, server: str) -> ResumableUpload:
    """The upload that the headers ask for, without scope. Raises BadRequest, TooLarge, OverQuota."""
    config = request.app[CONFIG]
    if "Upload-Defer-Length" in request.headers:
        raise BadRequest("the length must be known at the beginning; send Upload-Length")
    size, text = tus_headers.number(request.headers, "Upload-Length"), request.headers.get("Upload-Metadata", "")
    check_size(config, size)
    FileLimits.of(config).check_possible(size)
    facts = tus_headers.metadata(text)
    sha256 = digest_of(facts["sha256"]) if facts.get("sha256") else ""
    if config.uploads.require_sha256 and not sha256:
        raise BadRequest("send the file's sha256 in Upload-Metadata (uploads.require_sha256)")
    return ResumableUpload(
        file_id=ids.new_id(), scope="", server=server, name=display_name(facts.get("filename") or facts.get("name")),
        media_type=facts.get("filetype") or facts.get("type") or "", size_bytes=size, sha256=sha256, metadata=text,
    )


async def _begin(request: web.Request, grant: Grant, upload: ResumableUpload) -> str:
    """The capability of the new upload, for whose whole file room is set aside until it is complete or no more.
    Its link, when there is one, opens a batch of such. Raises OverQuota, Forbidden."""
    blobs, store, capability = request.app[BLOBS], request.app[RESUMABLE], ids.new_session_id()
    if grant.nonce:
        await reserve(request.app, grant, upload.server, batch=True)
    reservation = ""
    try:
        reservation = await set_aside(request, grant.scope, upload.size_bytes, for_ms=store.ttl_ms)
        await blobs.create_staged(upload.file_id)
        known = msgspec.structs.replace(upload, scope=grant.scope, nonce=grant.nonce, reservation=reservation)
        await store.create(capability, known)
    except BaseException:
        if reservation:
            request.app[RESERVATIONS].release(grant.scope, reservation)
        await blobs.discard(layout.staging_parts(upload.file_id))
        if grant.nonce:
            await request.app[GRANTS].release(grant.nonce)
        raise
    return capability


async def _found(request: web.Request, server: str) -> Progress:
    """The upload at this address. Raises NotFound, Forbidden."""
    capability = request.match_info["upload"]
    gone = NotFound("no upload is under way at this address; it may have expired: begin again")
    if not is_id(capability):
        raise gone
    progress = await request.app[RESUMABLE].get(capability)
    if progress.upload.server != server:
        raise gone
    if request.headers.get(SESSION_HEADER) not in (None, progress.upload.scope):
        raise Forbidden("this upload belongs to another session than the header names")
    return progress


def _headers(request: web.Request, upload: ResumableUpload, offset: int) -> dict[str, str]:
    headers = {tus_headers.VERSION_HEADER: tus_headers.VERSION, "Upload-Offset": str(offset)}
    if offset < upload.size_bytes:
        headers["Upload-Expires"] = tus_headers.expires(now_s(), request.app[RESUMABLE].ttl_ms)
    return headers
