"""The one place that turns errors into answers, and that logs and counts each request, once."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import structlog
from aiohttp import web

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.auth.authenticator import AUTHENTICATOR
from longshore.gateway.auth.rate_limiter import RATE_LIMITER
from longshore.gateway.http.auth import authenticate
from longshore.gateway.http.origins import Origins
from longshore.gateway.http.rate_limits import rate_limited
from longshore.gateway.http.spans import traced
from longshore.gateway.http.uploads import page, tus_headers
from longshore.gateway.mcp.replies.errors import error_message, error_status
from longshore.gateway.metrics import METRICS
from longshore.gateway.request_context import CONTEXT, GROUPS, MCP_GROUP, CutOff, RequestContext
from longshore.shared import ids
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError, MethodNotAllowed, NotFound, Refused, TooLarge, Unavailable
from longshore.shared.state.limits import Kind

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ORIGINS = web.AppKey("origins", Origins)
_encode = msgspec.json.Encoder().encode
_PUBLIC = frozenset({"health", "upload", "download", "well_known"})   # open, or these check their own credentials


class Bug(LongshoreError):
    """Something outside the family: our bug. The caller gets the id under which it was logged."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"internal error; quote {request_id} when you report it")


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its note and principal, and its errors their form."""
    context = request[CONTEXT] = RequestContext(request_id=ids.new_id(), started_s=monotonic_s())
    structlog.contextvars.bind_contextvars(request_id=context.request_id)
    status, response = 499, None    # nginx's status for a client that went away
    with traced(request, context):
        try:
            response = await _answer(request, handler, context)
            status = response.status
            return response
        finally:
            _count(request, context, status)
            if context.is_message:
                _measure(request, context, response)
            if context.trace is not None:
                context.trace.describe_end(status)
            structlog.contextvars.clear_contextvars()


async def note_head(request: web.Request, _response: web.StreamResponse) -> None:
    """Note that the head of an answer goes out: from then on an error can only cut it off."""
    request[CONTEXT].head_sent = True


async def add_cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let the pages that may call read the answer: on every answer, streams included, as its head goes out."""
    response.headers.update(request.app[ORIGINS].cors_headers(request.headers.get("Origin")))


async def _answer(request: web.Request, handler: Handler, context: RequestContext) -> web.StreamResponse:
    try:
        _classify(request, context)
        origins = request.app[ORIGINS]
        if request.method == "OPTIONS" and (allowed := origins.preflight(request.headers)) is not None:
            return web.Response(status=204, headers=allowed)
        origins.check(request.headers, own_page=_is_own_page(request, context))
        if context.route_group not in _PUBLIC:
            context.principal = await authenticate(request, context.server if context.is_message else None)
            if request.app[RATE_LIMITER].is_on:
                handler = partial(_limited, handler, context.principal.name)
        return await handler(request)
    except LongshoreError as err:
        return _failed(request, context, err)
    except (CutOff, ConnectionError):
        return _cut_off(request)
    except web.HTTPException as err:
        return _answer_of_server(context, err)
    except Exception:
        log.exception("bug", route=context.route_group, server=context.server)
        return _failed(request, context, Bug(context.request_id))


def _is_own_page(request: web.Request, context: RequestContext) -> bool:
    """Whether the request may come from an upload page of ours under whatever name: its link is all that counts."""
    return context.route_group == "upload" and ("sig" in request.query or "upload" in request.match_info)


async def _limited(handler: Handler, principal: str, request: web.Request) -> web.StreamResponse:
    kind: Kind = "call" if request[CONTEXT].is_message and request.method == "POST" else "other"
    async with rate_limited(request, kind, principal=principal):
        return await handler(request)


def _failed(request: web.Request, context: RequestContext, err: LongshoreError) -> web.Response:
    context.reason = err.reason
    if context.head_sent:
        return _cut_off(request)
    if context.route_group == "upload" and page.is_wanted(request.headers):
        text = page.refused_page(str(err))
        return web.Response(text=text, status=err.status, content_type="text/html", headers=page.HEADERS)
    answer = answer_error(context, err)
    if challenge := request.app[AUTHENTICATOR].challenge(err, context.server):
        answer.headers["WWW-Authenticate"] = challenge
    answer.headers.update(tus_headers.said_with_errors(request.headers))
    return answer


def _cut_off(request: web.Request) -> web.Response:
    """Reset the connection. The response that is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


def _answer_of_server(context: RequestContext, err: web.HTTPException) -> web.Response:
    """What aiohttp itself refused, in our form."""
    if isinstance(err, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(err.allowed_methods))
        response = answer_error(context, MethodNotAllowed(f"this path takes {allowed}"))
        response.headers["Allow"] = allowed
        return response
    if isinstance(err, web.HTTPNotFound):
        return answer_error(context, NotFound("nothing is served at this path"))
    if isinstance(err, web.HTTPRequestEntityTooLarge):
        return answer_error(context, TooLarge("the request body is larger than core.max_body_bytes"))
    return answer_error(context, Refused(err.reason))


def _classify(request: web.Request, context: RequestContext) -> None:
    resource = request.match_info.route.resource
    group = request.app[GROUPS].get(resource.canonical) if resource is not None else None
    if group is not None:
        context.route_group, context.server = group.name, group.server
        context.is_message = group.name == MCP_GROUP


def answer_error(context: RequestContext, err: LongshoreError) -> web.Response:
    """The answer to an error, in the form of its route: our own JSON, JSON-RPC, or a tool result."""
    context.reason = err.reason
    if not context.is_message:
        said = {"detail": str(err), "reason": err.reason} | ({"data": err.details} if err.details else {})
        body, status = _encode(said), err.status
    else:
        body, status = error_message(context, err), error_status(context, err)
    headers: dict[str, str] = {}
    if isinstance(err, Unavailable) and status in (429, 503):
        headers["Retry-After"] = str(err.retry_after_s)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _measure(request: web.Request, context: RequestContext, response: web.StreamResponse | None) -> None:
    """What went through the proxy. A body that is still to be written is known already."""
    body = response.body if isinstance(response, web.Response) else None
    sent = len(body) if isinstance(body, bytes | bytearray) else response.body_length if response is not None else 0
    request.app[METRICS].messages(server=context.server, received=request.content.total_bytes, sent=sent)


def _count(request: web.Request, context: RequestContext, status: int) -> None:
    metrics = request.app[METRICS]
    elapsed_s = monotonic_s() - context.started_s
    metrics.http_request(
        server=context.server, method=request.method, route_group=context.route_group, status=status,
        duration_s=elapsed_s,
    )
    if status in (401, 403) and context.reason:
        metrics.auth_rejected(server=context.server, reason=context.reason, route_group=context.route_group)
    elif status >= 400 and context.reason:
        metrics.rejected(server=context.server, route_group=context.route_group, reason=context.reason, status=status)
    if context.route_group == "download" and status >= 400 and context.reason:
        metrics.download_failed(server=context.server, signed="sig" in request.query, duration_s=elapsed_s)
    if status < 500 and request.app[CONFIG].core.log_level not in ("debug", "info"):
        return
    fields: dict[str, Any] = {
        "request_id": context.request_id, "route": context.route_group, "server": context.server, "status": status,
        "duration_ms": round(elapsed_s * 1000, 2), "reason": context.reason, "method": context.method or request.method,
    }
    if status >= 500:
        log.warning("request_failed", **fields)
    else:
        log.info("request", **fields)
