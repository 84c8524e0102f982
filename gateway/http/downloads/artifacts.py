"""GET /artifacts/{server}/{session}/{artifact}/{name}: streams one artifact, by signed link or by credential."""

import os

from aiohttp import web

from longshore.gateway.appkeys import BLOBS, FILES, SESSIONS, SIGNER
from longshore.gateway.auth.rate_limiter import RequestSlot
from longshore.gateway.files import stored
from longshore.gateway.http.auth import authenticate
from longshore.gateway.http.downloads import sendfile
from longshore.gateway.http.downloads.ranges import ByteRange, requested_range
from longshore.gateway.http.rate_limits import rate_limited
from longshore.gateway.metrics import METRICS, AuthMode
from longshore.gateway.mounts import SERVERS
from longshore.gateway.request_context import SESSION_HEADER, ResponseCutOff, context_of, session_id_of
from longshore.shared.clock import monotonic_s, now_s
from longshore.shared.errors import BadRequest, Forbidden, NotFound
from longshore.shared.ids import is_id
from longshore.shared.records import ArtifactRecord, FileRecord
from longshore.shared.state.sessions import Caller

_CHUNK_BYTES = 1024 * 1024
_INLINE = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf"})
_GONE = "there is no such artifact; it may have expired"


async def download(request: web.Request) -> web.StreamResponse:
    """Stream the file, whole or one range of it. Raises Forbidden, NotFound."""
    context = context_of(request)
    server, scope = request.match_info["server"], request.match_info["session"]
    artifact_id = request.match_info["artifact"]
    if server not in request.app[SERVERS] or not (is_id(scope) and is_id(artifact_id)):
        raise NotFound(_GONE)
    context.server = server
    auth_mode = await _authorize(request, server=server, scope=scope, artifact_id=artifact_id)
    (record,) = await request.app[FILES].use(scope, [artifact_id])
    # An uploaded file is served by signed link alone (files/authorizeDownload).
    may_serve = isinstance(record, ArtifactRecord) or auth_mode == "signed_url"
    if not may_serve or record.server != server or record.name != request.match_info["name"]:
        raise NotFound(_GONE)
    async with rate_limited(request, "transfer", scope=scope) as slot:
        sent = await _send(request, slot, record)
    request.app[METRICS].download(
        server=server, auth_mode=auth_mode, result="success" if sent.status < 400 else "error",
        size_bytes=sent.content_length or 0, duration_s=monotonic_s() - context.started_s,
    )
    return sent


async def _authorize(request: web.Request, *, server: str, scope: str, artifact_id: str) -> AuthMode:
    """Raise Forbidden, Unauthorized or BadRequest without a signed link, or a credential and the session's header."""
    if "sig" in request.query:
        _ = request.app[SIGNER].verify(
            request.query, purpose="download", server=server, target=artifact_id, now_s=now_s()
        )
        header = session_id_of(request)
        if request.query["scope"] != scope or header not in (None, scope):
            raise Forbidden("this link belongs to another session")
        return "signed_url"
    principal = await authenticate(request, server)
    session_id = session_id_of(request)
    if session_id is None:
        raise BadRequest(f"send the header {SESSION_HEADER} of the artifact's session, or use a signed link")
    if session_id != scope:
        raise Forbidden("this artifact belongs to another session")
    _ = await request.app[SESSIONS].open_call(Caller(scope, server, principal.name))
    return "session_context"


async def _send(request: web.Request, slot: RequestSlot, record: FileRecord) -> web.StreamResponse:
    blobs = request.app[BLOBS]
    etag = f'"{record.sha256}"'
    headers = {
        "ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-transform",
        "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
        "Content-Disposition": content_disposition(record),
    }
    known = [part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")]
    if etag in known or known == ["*"]:
        return web.Response(status=304, headers=headers)
    span = requested_range(request.headers, size_bytes=record.size_bytes, etag=etag)
    if span is None:
        headers["Content-Range"] = f"bytes */{record.size_bytes}"
        return web.Response(status=416, headers=headers)
    response = web.StreamResponse(status=206 if span.partial else 200, headers=headers)
    if span.partial:
        response.headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{record.size_bytes}"
    response.headers["Content-Type"] = record.media_type
    response.content_length = span.end - span.start
    fd = await stored.open_file(blobs, request.app[FILES], record)
    try:
        await response.prepare(request)
        if request.method != "HEAD":
            slot.size_bytes = span.end - span.start
            to = await sendfile.sendfile_socket(request)
            await (_copy(request, response, fd, span) if to is None else sendfile.send(request, fd, span, to))
        await response.write_eof()
        return response
    finally:
        os.close(fd)


async def _copy(request: web.Request, response: web.StreamResponse, fd: int, span: ByteRange) -> None:
    at = span.start
    while at < span.end:
        chunk = await request.app[BLOBS].run_to_end(os.pread, fd, min(_CHUNK_BYTES, span.end - at), at)
        if not chunk:  # the file is shorter than its record: the client must not take this for its end
            raise ResponseCutOff
        await response.write(chunk)
        at += len(chunk)


def content_disposition(record: FileRecord) -> str:
    """Format `Content-Disposition` with the name in both forms of RFC 6266; inline only for types without scripts."""
    kind = "inline" if record.media_type in _INLINE else "attachment"
    plain = "".join(char if " " <= char <= "~" and char not in '"\\' else "_" for char in record.name)
    encoded = "".join(_percent(byte) for byte in record.name.encode())
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def _percent(byte: int) -> str:
    char = chr(byte)
    return char if char.isascii() and (char.isalnum() or char in "!#$&+-.^_`|~") else f"%{byte:02X}"
