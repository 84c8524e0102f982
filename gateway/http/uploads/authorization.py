"""Authorization of uploads: by a signed one-time link, or by a credential with a session."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from longshore.gateway.appkeys import CONFIG, GRANTS, SESSIONS, SIGNER
from longshore.gateway.auth.principal import Principal
from longshore.gateway.http.auth import authenticate
from longshore.gateway.metrics import METRICS
from longshore.gateway.mounts import SERVERS
from longshore.gateway.request_context import SESSION_HEADER, context_of, session_id_of
from longshore.shared.clock import now_s
from longshore.shared.errors import BadRequest, Forbidden, LongshoreError, NotFound, SessionGone, StoreDown
from longshore.shared.ids import is_id
from longshore.shared.state.sessions import Caller

_CONSUME_TRIES = 3


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """Permission for one upload: the scope of its files and, of a one-time link, its nonce and remaining life."""

    scope: str
    nonce: str = ""          # "" for a credential
    ttl_ms: int = 0


@dataclass(slots=True)
class LinkUse:
    """One use of a one-time link, as far as it is known whether files came of it."""

    file_ids: list[str] = field(default_factory=list)
    is_uncertain: bool = False   # a finalise job was sent and its outcome is unknown: files may be stored


async def authorize(request: web.Request, server: str, *, target: str = "") -> UploadGrant:
    """Find the scope of the files to come. With a `target`, only a link made for that target is accepted.

    Raises Unauthorized, Forbidden, SessionGone, SessionConflict, BadRequest.
    """
    header = session_id_of(request)
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
            raise Forbidden("this upload link belongs to another session than that of the header")
        return UploadGrant(link.scope, link.nonce, int((link.expires_s - now_s()) * 1000))
    principal = await authenticate(request, server)
    if header is None:
        return await _principal_scope(request, server, principal)
    caller = Caller(header if is_id(header) else "x" * 16, server, principal.name)
    _ = await request.app[SESSIONS].open_call(caller)
    return UploadGrant(caller.session_id)


async def _principal_scope(request: web.Request, server: str, principal: Principal) -> UploadGrant:
    """Grant for the scope of a principal that sends no session id. Raises BadRequest when it has no such scope."""
    scope = request.app[SIGNER].scope_of(server, principal.name)
    try:
        _ = await request.app[SESSIONS].open_call(Caller(scope, server, principal.name))
    except SessionGone:
        raise BadRequest(f"send the header {SESSION_HEADER}, or use a link from the get_upload_url tool") from None
    return UploadGrant(scope)


@contextmanager
def count_failures(request: web.Request) -> Iterator[str]:
    """Yield the id of the server that the files are for, and count an error of the block as a failed upload.

    Raises NotFound, BadRequest.
    """
    server, context = request.match_info["server"], context_of(request)
    if server not in request.app[SERVERS]:
        raise NotFound("no server with this id is configured")
    context.server = server
    try:
        if not request.app[CONFIG].uploads.enabled:
            raise BadRequest("uploads are disabled (uploads.enabled)")
        yield server
    except LongshoreError as err:
        request.app[METRICS].upload_failed(server=server, reason=err.reason)
        raise


@asynccontextmanager
async def claimed_link(request: web.Request, grant: UploadGrant, server: str) -> AsyncIterator[LinkUse]:
    """Claim the one-time link for the block: consumed when the block succeeds, released when it fails.

    While a use is uncertain (no worker answered, the client left in the middle of the job), a failure leaves the
    link claimed: a second use could store the files twice.
    """
    use = LinkUse()
    if not grant.nonce:
        yield use
        return
    await claim_link(request.app, grant, server)
    try:
        yield use
    except BaseException:
        if not use.is_uncertain:
            await request.app[GRANTS].release(grant.nonce)
        raise
    await consume_link(request.app, grant.nonce, server, use.file_ids)


async def claim_link(app: web.Application, grant: UploadGrant, server: str, *, batch: bool = False) -> None:
    """Claim the one-time link for one transfer, or for one more of a batch; counted. Raises Forbidden."""
    with _count_nonce(app, server, "reserve"):
        await app[GRANTS].claim(grant.nonce, scope=grant.scope, server=server, ttl_ms=grant.ttl_ms, batch=batch)


async def consume_link(app: web.Application, nonce: str, server: str, file_ids: Sequence[str]) -> None:
    """Consume the one-time link with the ids of the files that it made; counted. Raises StoreDown.

    Tried several times, each of which waits for a connection: the files are stored by now, and a short outage of
    Redis must not turn that into an error.
    """
    with _count_nonce(app, server, "consume"):
        for left in reversed(range(_CONSUME_TRIES)):
            try:
                await app[GRANTS].spend(nonce, file_ids)
                break
            except StoreDown:
                if not left:
                    raise


@contextmanager
def _count_nonce(app: web.Application, server: str, operation: Literal["reserve", "consume"]) -> Iterator[None]:
    try:
        yield
    except LongshoreError:
        app[METRICS].nonce(server=server, operation=operation, result="error")
        raise
    app[METRICS].nonce(server=server, operation=operation, result="success")
