"""POST {core.upload_path}/{server}: files over plain HTTP, all of a request or none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from gateway.access.principal import Principal
from gateway.appkeys import BLOBS, CONFIG, GRANTS, METRICS, QUEUE, SERVERS, SESSIONS, SIGNER
from gateway.files.handles import upload_handle
from gateway.http.auth import authenticate
from gateway.http.limiting import within_limits
from gateway.http.multipart import MOST_FORM_BYTES, Received, receive
from gateway.limiter import Passage
from gateway.mcp.exchange import SESSION_HEADER, note_of
from shared import layout
from shared.clock import now_s
from shared.config import Config
from shared.errors import BadRequest, Forbidden, LongshoreError, NotFound, SessionGone, WorkerDown, WrongMediaType
from shared.ids import is_id
from shared.jobs import FinaliseUpload, UploadsDone
from shared.records import UploadRecord
from shared.state.quota import FileLimits
from shared.state.sessions import Caller

_FINALISE_S = 30.0
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Grant:
    """What lets this upload in: a one-time link, or a credential (nonce "")."""

    scope: str
    nonce: str = ""
    ttl_ms: int = 0


async def upload(request: web.Request) -> web.StreamResponse:
    """Receive, finalise, answer with handles. Everything is checked before the body is read."""
    server = request.match_info["server"]
    config = request.app[CONFIG]
    note = note_of(request)
    if server not in request.app[SERVERS]:
        raise NotFound("no server of this id is configured here")
    note.server = server
    try:
        _check_request(request, config)
        grant = await _authorize(request, server)
        async with within_limits(request, "transfer", scope=grant.scope) as passage, _claimed(request, grant, server):
            records = await _take_in(request, passage, grant.scope, server)
    except LongshoreError as err:
        request.app[METRICS].upload_failed(server=server, reason=err.reason)
        raise
    request.app[METRICS].uploaded(server=server, files=len(records), size_bytes=sum(r.size_bytes for r in records))
    return web.Response(body=_encode(_answer(config, server, grant.scope, records)), content_type="application/json")


async def go_ahead(_request: web.Request) -> None:
    """Expect: 100-continue is answered by the handler, once it is known that the body is wanted."""


def _check_request(request: web.Request, config: Config) -> None:
    if not config.uploads.enabled:
        raise BadRequest("uploads are disabled here (uploads.enabled)")
    if request.content_type != "multipart/form-data":
        raise WrongMediaType("send the files as multipart/form-data, in fields named file")
    if request.content_length is not None:
        FileLimits.of(config).check_possible(request.content_length - MOST_FORM_BYTES)


async def _authorize(request: web.Request, server: str) -> _Grant:
    """Whose files these will be. Raises Unauthorized, Forbidden, SessionGone, SessionConflict, BadRequest."""
    header = request.headers.get(SESSION_HEADER)
    if "sig" in request.query:
        metrics = request.app[METRICS]
        try:
            link = request.app[SIGNER].verify(
                request.query, purpose="upload", server=server, target="", now_s=now_s()
            )
        except Forbidden:
            metrics.credential(server=server, operation="validate", result="error")
            raise
        metrics.credential(server=server, operation="validate", result="success")
        if header not in (None, link.scope):
            raise Forbidden("this upload link belongs to another session than the header names")
        return _Grant(link.scope, link.nonce, int((link.expires_s - now_s()) * 1000))
    principal = await authenticate(request, server)
    if header is None:
        return await _scope_of(request, server, principal)
    caller = Caller(header if is_id(header) else "x" * 16, server, principal.name)
    _ = await request.app[SESSIONS].open_call(caller)
    return _Grant(caller.session_id)


async def _scope_of(request: web.Request, server: str, principal: Principal) -> _Grant:
    """The scope of a caller that sends no session id. Raises BadRequest when it has none."""
    scope = request.app[SIGNER].scope_of(server, principal.name)
    try:
        _ = await request.app[SESSIONS].open_call(Caller(scope, server, principal.name))
    except SessionGone:
        raise BadRequest(f"send the header {SESSION_HEADER}, or use a link from the get_upload_url tool") from None
    return _Grant(scope)


@asynccontextmanager
async def _claimed(request: web.Request, grant: _Grant, server: str) -> AsyncIterator[None]:
    """Hold the one-time link: spent when the block succeeds, given back when it fails for certain.

    A finalisation whose outcome is unknown (no worker answered, the client left in the middle of it) keeps
    the link closed: opening it again could store the files twice.
    """
    grants, metrics = request.app[GRANTS], request.app[METRICS]
    if not grant.nonce:
        yield
        return
    await grants.claim(grant.nonce, scope=grant.scope, server=server, ttl_ms=grant.ttl_ms)
    metrics.nonce(server=server, operation="reserve", result="success")
    try:
        yield
    except WorkerDown:
        raise
    except BaseException:
        if "finalising" not in note_of(request).counts:
            await grants.give_back(grant.nonce)
        raise
    await grants.spend(grant.nonce)
    metrics.nonce(server=server, operation="consume", result="success")


async def _take_in(request: web.Request, passage: Passage, scope: str, server: str) -> list[UploadRecord]:
    blobs = request.app[BLOBS]
    received: list[Received] = []
    counts = note_of(request).counts
    try:
        await receive(request, received)
        counts["finalising"] = 1
        order = FinaliseUpload(scope=scope, server=server, files=[part.staged() for part in received])
        try:
            outcome = await request.app[QUEUE].run(order, timeout_s=_FINALISE_S)
        except WorkerDown:
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


def _answer(config: Config, server: str, scope: str, records: list[UploadRecord]) -> dict[str, Any]:
    """The answer's body: see docs/http-api.md."""
    uploads = [
        {
            "upload_handle": upload_handle(config.uploads.uri_scheme, record), "upload_id": record.id,
            "filename": record.name, "mime_type": record.media_type, "size_bytes": record.size_bytes,
            "sha256": record.sha256,
        }
        for record in records
    ]
    answer: dict[str, Any] = {
        "server_id": server, "session_id": scope, "uploads": uploads,
        "upload_handles": [entry["upload_handle"] for entry in uploads], "count": len(uploads),
    }
    if len(uploads) == 1:
        only = dict(uploads[0])
        answer["upload_handle"] = only.pop("upload_handle")
        answer["upload"] = only
    return answer
