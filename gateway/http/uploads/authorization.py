"""What lets an upload in: a one-time link, or a credential with a session."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from longshore.gateway.appkeys import CONFIG, GRANTS, SESSIONS, SIGNER
from longshore.gateway.auth.principal import Principal
from longshore.gateway.http.auth import authenticate
from longshore.gateway.metrics import METRICS
from longshore.gateway.mounts import SERVERS
from longshore.gateway.request_context import SESSION_HEADER, context_of
from longshore.shared.clock import now_s
from longshore.shared.errors import BadRequest, Forbidden, LongshoreError, NotFound, SessionGone, StoreDown, WorkerDown
from longshore.shared.ids import is_id
from longshore.shared.state.sessions import Caller

_SPEND_TRIES = 3


@dataclass(frozen=True, slots=True)
class Grant:
    """What lets one upload in; with a credential `nonce` is ""."""

    scope: str
    nonce: str = ""
    ttl_ms: int = 0


async def authorize(request: web.Request, server: str, *, target: str = "") -> Grant:
    """Whose files these will be. With a `target`, only a link for it lets in.

    Raises Unauthorized, Forbidden, SessionGone, SessionConflict, BadRequest.
    """
    header = request.headers.get(SESSION_HEADER)
    if target or "sig" in request.query:
        metrics = request.app[METRICS]
        try:
            link = request.app[SIGNER].verify(
                request.query, purpose="upload", server=server, target=target, now_s=now_s()
            )
        except Forbidden:
            metrics.credential(server=server, operation="validate", result="error")
            raise
        metrics.credential(server=server, operation="validate", result="success")
        if header not in (None, link.scope):
            raise Forbidden("this upload link belongs to another session than the header names")
        return Grant(link.scope, link.nonce, int((link.expires_s - now_s()) * 1000))
    principal = await authenticate(request, server)
    if header is None:
        return await _scope_of(request, server, principal)
    caller = Caller(header if is_id(header) else "x" * 16, server, principal.name)
    _ = await request.app[SESSIONS].open_call(caller)
    return Grant(caller.session_id)


async def _scope_of(request: web.Request, server: str, principal: Principal) -> Grant:
    """The scope of a caller that sends no session id. Raises BadRequest when it has none."""
    scope = request.app[SIGNER].scope_of(server, principal.name)
    try:
        _ = await request.app[SESSIONS].open_call(Caller(scope, server, principal.name))
    except SessionGone:
        raise BadRequest(f"send the header {SESSION_HEADER}, or use a link from the get_upload_url tool") from None
    return Grant(scope)


@contextmanager
def counted(request: web.Request) -> Iterator[str]:
    """The server that takes the upload; a refusal is counted. Raises NotFound, BadRequest."""
    server, context = request.match_info["server"], context_of(request)
    if server not in request.app[SERVERS]:
        raise NotFound("no server of this id is configured here")
    context.server = server
    try:
        if not request.app[CONFIG].uploads.enabled:
            raise BadRequest("uploads are disabled here (uploads.enabled)")
        yield server
    except LongshoreError as err:
        request.app[METRICS].upload_failed(server=server, reason=err.reason)
        raise


@asynccontextmanager
async def claimed(request: web.Request, grant: Grant, server: str) -> AsyncIterator[list[str]]:
    """Hold the one-time link, for a block that notes the ids of the files it made: spent when the block succeeds,
    given back when it fails for certain.

    A finalisation whose outcome is unknown (no worker answered, the client left in the middle of it) keeps
    the link closed: opening it again could store the files twice.
    """
    if not grant.nonce:
        yield []
        return
    await reserve(request.app, grant, server)
    made: list[str] = []
    try:
        yield made
    except WorkerDown:
        raise
    except BaseException:
        if "finalising" not in context_of(request).counts:
            await request.app[GRANTS].release(grant.nonce)
        raise
    await consume(request.app, grant.nonce, server, made)


async def reserve(app: web.Application, grant: Grant, server: str, *, batch: bool = False) -> None:
    """Take the one-time link for a transfer, or for one more of a batch; counted. Raises Forbidden."""
    with _nonce_counted(app, server, "reserve"):
        await app[GRANTS].claim(grant.nonce, scope=grant.scope, server=server, ttl_ms=grant.ttl_ms, batch=batch)


async def consume(app: web.Application, nonce: str, server: str, file_ids: Sequence[str]) -> None:
    """Note that a transfer through the link made these files; counted. The files are there by now: a Redis that is
    away for a moment does not turn that into an error, and each try waits for its connection. Raises StoreDown."""
    with _nonce_counted(app, server, "consume"):
        for left in reversed(range(_SPEND_TRIES)):
            try:
                await app[GRANTS].spend(nonce, file_ids)
                break
            except StoreDown:
                if not left:
                    raise


@contextmanager
def _nonce_counted(app: web.Application, server: str, operation: Literal["reserve", "consume"]) -> Iterator[None]:
    try:
        yield
    except LongshoreError:
        app[METRICS].nonce(server=server, operation=operation, result="error")
        raise
    app[METRICS].nonce(server=server, operation=operation, result="success")
