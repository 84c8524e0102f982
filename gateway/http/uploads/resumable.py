"""{core.upload_path}/{server}/resumable/{upload}: uploads in several requests, by the tus protocol 1.0.0.

The URL of an upload is its capability: whoever knows it may continue, terminate and inspect the upload through any
gateway. No other credential is required there; a session header, when sent, must match.
"""

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import BLOBS, CONFIG, FILES, GRANTS, RESERVATIONS, RESUMABLE
from longshore.gateway.files.uploaded import describe_uploads
from longshore.gateway.http.rate_limits import rate_limited
from longshore.gateway.http.uploads import tus_headers
from longshore.gateway.http.uploads.append import acquire_upload, append_body, discard_upload, finish
from longshore.gateway.http.uploads.authorization import UploadGrant, authorize, claim_link, count_failures
from longshore.gateway.http.uploads.incoming import check_encoding, check_size, display_name, parse_sha256
from longshore.gateway.http.uploads.reservations import reserve_for
from longshore.gateway.request_context import session_id_of
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
    """OPTIONS: answer with the tus version and extensions that are supported."""
    with count_failures(request):
        uploads = request.app[CONFIG].uploads
        _check_enabled(request)
        return web.Response(status=204, headers=tus_headers.capabilities(max_size_bytes=uploads.max_file_bytes))


async def create(request: web.Request, server: str) -> web.StreamResponse:
    """POST on the server's path: create an upload, and append the request's body where it has one."""
    _check_enabled(request)
    tus_headers.check_version(request.headers)
    upload = _parse_creation(request, server)
    if has_body := request.can_read_body:
        tus_headers.check_media_type(request.content_type)
        check_encoding(request.headers)
    checksum = tus_headers.parse_checksum(request.headers.get("Upload-Checksum"))
    grant = await authorize(request, server)
    async with rate_limited(request, "transfer", scope=grant.scope) as slot:
        capability = await _create(request, grant, upload)
        offset = 0
        if has_body or not upload.size_bytes:
            offset = await append_body(request, capability, slot, offset=0, checksum=checksum)
    # Relative, so that it is right under any host name and path prefix by which the client reached this gateway.
    location = f"{request.path.rsplit('/', 1)[1]}/resumable/{capability}"
    headers = {"Location": location, **_headers(request, upload, offset), **_NO_STORE}
    return web.Response(status=201, headers=headers)


async def head(request: web.Request) -> web.StreamResponse:
    """HEAD: answer with the upload's offset. A complete upload that was not finalised yet is finalised now."""
    with count_failures(request) as server:
        tus_headers.check_version(request.headers)
        progress = await _load(request, server)
        upload, capability = progress.upload, request.match_info["upload"]
        if progress.offset == upload.size_bytes and not progress.is_done:
            token, progress = await acquire_upload(request, capability, offset=None)
            if not progress.is_done:
                await finish(request, capability, token, upload)
        headers = {**_headers(request, upload, progress.offset), "Upload-Length": str(upload.size_bytes), **_NO_STORE}
        if upload.metadata:
            headers["Upload-Metadata"] = upload.metadata
        return web.Response(headers=headers)


async def patch(request: web.Request) -> web.StreamResponse:
    """PATCH: append the request's body at `Upload-Offset`."""
    with count_failures(request) as server:
        tus_headers.check_version(request.headers)
        tus_headers.check_media_type(request.content_type)
        check_encoding(request.headers)
        offset = tus_headers.parse_bytes(request.headers, "Upload-Offset")
        checksum = tus_headers.parse_checksum(request.headers.get("Upload-Checksum"))
        found, capability = await _load(request, server), request.match_info["upload"]
        coming_bytes = request.content_length or 0
        if offset == found.offset and offset + coming_bytes > found.upload.size_bytes:
            raise TooLarge("the body exceeds the length that the upload was created with (Upload-Length)")
        async with rate_limited(request, "transfer", scope=found.upload.scope) as slot:
            offset = await append_body(request, capability, slot, offset=offset, checksum=checksum)
        return web.Response(status=204, headers=_headers(request, found.upload, offset))


async def terminate(request: web.Request) -> web.StreamResponse:
    """DELETE: terminate an upload that is not complete, and unlink its bytes."""
    with count_failures(request) as server:
        tus_headers.check_version(request.headers)
        found, capability = await _load(request, server), request.match_info["upload"]
        _, progress = await acquire_upload(request, capability, offset=None)
        if progress.is_done:
            raise NotFound("this upload is complete; its file stays available under its handle")
        await discard_upload(request.app, capability, found.upload)
        return web.Response(status=204, headers={tus_headers.VERSION_HEADER: tus_headers.VERSION})


async def status(request: web.Request) -> web.StreamResponse:
    """GET: answer with the upload's state as JSON, and with its handle once it is complete."""
    with count_failures(request) as server:
        progress = await _load(request, server)
        upload, records = progress.upload, list[UploadRecord]()
        if progress.is_done:
            found = await request.app[FILES].use(upload.scope, [upload.file_id])
            records = [record for record in found if isinstance(record, UploadRecord)]
        status = "complete" if progress.is_done else "receiving"
        scheme = request.app[CONFIG].uploads.uri_scheme
        body = {
            "status": status, "offset": progress.offset, "size_bytes": upload.size_bytes,
            **describe_uploads(scheme, server, upload.scope, records),
        }
        return web.Response(body=_encode(body), content_type="application/json", headers=_NO_STORE)


async def method_override(request: web.Request) -> web.StreamResponse:
    """POST: run the method that X-HTTP-Method-Override names, for clients that can send GET and POST only."""
    handler = {"PATCH": patch, "DELETE": terminate, "HEAD": head}.get(
        request.headers.get("X-HTTP-Method-Override", "").upper()
    )
    if handler is None:
        raise MethodNotAllowed("send PATCH, HEAD or DELETE, or one of them as X-HTTP-Method-Override")
    return await handler(request)


def _check_enabled(request: web.Request) -> None:
    if not request.app[CONFIG].uploads.resumable:
        raise BadRequest("resumable uploads are disabled (uploads.resumable)")


def _parse_creation(request: web.Request, server: str) -> ResumableUpload:
    """Parse the headers that create an upload; its scope is left "". Raises BadRequest, TooLarge, OverQuota."""
    config = request.app[CONFIG]
    if "Upload-Defer-Length" in request.headers:
        raise BadRequest("deferred lengths are not supported; send Upload-Length")
    size, text = tus_headers.parse_bytes(request.headers, "Upload-Length"), request.headers.get("Upload-Metadata", "")
    check_size(config, size)
    FileLimits.of(config).check_possible(size)
    facts = tus_headers.parse_metadata(text)
    sha256 = parse_sha256(facts["sha256"]) if facts.get("sha256") else ""
    if config.uploads.require_sha256 and not sha256:
        raise BadRequest("send the file's sha256 in Upload-Metadata (uploads.require_sha256)")
    return ResumableUpload(
        file_id=ids.new_id(), scope="", server=server, name=display_name(facts.get("filename") or facts.get("name")),
        media_type=facts.get("filetype") or facts.get("type") or "", size_bytes=size, sha256=sha256, metadata=text,
    )


async def _create(request: web.Request, grant: UploadGrant, upload: ResumableUpload) -> str:
    """Create the upload and return its capability. Storage for the whole file stays reserved until its end.

    One link may create several uploads: they are a batch. Raises OverQuota, Forbidden.
    """
    blobs, store, capability = request.app[BLOBS], request.app[RESUMABLE], ids.new_session_id()
    if grant.nonce:
        await claim_link(request.app, grant, upload.server, batch=True)
    reservation = ""
    try:
        reservation = await reserve_for(request, grant.scope, upload.size_bytes, for_ms=store.ttl_ms)
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


async def _load(request: web.Request, server: str) -> Progress:
    """Load the upload that the URL names. Raises NotFound, Forbidden."""
    capability = request.match_info["upload"]
    gone = NotFound("there is no upload at this URL; it may have expired: create a new one")
    if not is_id(capability):
        raise gone
    progress = await request.app[RESUMABLE].get(capability)
    if progress.upload.server != server:
        raise gone
    if session_id_of(request) not in (None, progress.upload.scope):
        raise Forbidden("this upload belongs to another session than that of the header")
    return progress


def _headers(request: web.Request, upload: ResumableUpload, offset: int) -> dict[str, str]:
    headers = {tus_headers.VERSION_HEADER: tus_headers.VERSION, "Upload-Offset": str(offset)}
    if offset < upload.size_bytes:
        headers["Upload-Expires"] = tus_headers.format_expires(now_s(), request.app[RESUMABLE].ttl_ms)
    return headers
