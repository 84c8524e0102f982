"""Edge middleware: gives each request its context and principal, turns errors into answers, logs and counts once."""

from functools import partial
from typing import Any

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.auth.authenticator import AUTHENTICATOR
from longshore.gateway.auth.rate_limiter import RATE_LIMITER
from longshore.gateway.http.auth import authenticate
from longshore.gateway.http.origins import Origins
from longshore.gateway.http.rate_limits import rate_limited
from longshore.gateway.http.spans import request_span
from longshore.gateway.http.uploads import tus_headers
from longshore.gateway.http.uploads.page import UPLOAD_PAGES, accepts_html
from longshore.gateway.mcp.replies.errors import error_message, error_status
from longshore.gateway.metrics import METRICS
from longshore.gateway.request_context import CONTEXT, GROUPS, MCP_GROUP, RequestContext, ResponseCutOff
from longshore.shared import ids
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError, MethodNotAllowed, NotFound, Refused, TooLarge, Unavailable
from longshore.shared.state.limits import Kind

log = structlog.get_logger(__name__)

ORIGINS = web.AppKey("origins", Origins)
_encode = msgspec.json.Encoder().encode
# Route groups that are public, or whose handlers authenticate by themselves.
_SELF_AUTHENTICATED = frozenset({"health", "upload", "download", "well_known"})


class Bug(LongshoreError):
    """Unexpected exception, a bug of longshore. The caller receives the id under which it was logged."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"internal error; quote {request_id} when you report it")


@web.middleware
async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Run the handler with the request's context, span, principal and rate limits, and answer its errors."""
    context = request[CONTEXT] = RequestContext(request_id=ids.new_id(), started_s=monotonic_s())
    structlog.contextvars.bind_contextvars(request_id=context.request_id)
    status, response = 499, None    # nginx's status for a client that disconnected
    with request_span(request, context):
        try:
            response = await _answer(request, handler, context)
            status = response.status
            return response
        finally:
            _count_and_log(request, context, status)
            if context.is_message:
                _count_bytes(request, context, response)
            if context.trace is not None:
                context.trace.describe_end(status)
            structlog.contextvars.clear_contextvars()


async def note_head(request: web.Request, _response: web.StreamResponse) -> None:
    """Record that the response's head is sent: from then on an error can only reset the connection."""
    request[CONTEXT].head_sent = True


async def add_cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the CORS headers to any response, streams included, before its head is sent."""
    response.headers.update(request.app[ORIGINS].cors_headers(request.headers.get("Origin")))


async def _answer(request: web.Request, handler: Handler, context: RequestContext) -> web.StreamResponse:
    try:
        _classify(request, context)
        origins = request.app[ORIGINS]
        if request.method == "OPTIONS" and (allowed := origins.preflight(request.headers)) is not None:
            return web.Response(status=204, headers=allowed)
        origins.check(request.headers, own_page=_is_own_page(request, context))
        if context.route_group not in _SELF_AUTHENTICATED:
            context.principal = await authenticate(request, context.server if context.is_message else None)
            if request.app[RATE_LIMITER].is_on:
                handler = partial(_rate_limited, handler, context.principal.name)
        return await handler(request)
    except LongshoreError as err:
        return _error_response(request, context, err)
    except (ResponseCutOff, ConnectionError):
        return _reset_connection(request)
    except web.HTTPException as err:
        return _aiohttp_error_response(context, err)
    except Exception:
        log.exception("bug", route=context.route_group, server=context.server)
        return _error_response(request, context, Bug(context.request_id))


def _is_own_page(request: web.Request, context: RequestContext) -> bool:
    """Return True for a request that may come from our own upload page under any host name, authorized by its link."""
    return context.route_group == "upload" and ("sig" in request.query or "upload" in request.match_info)


async def _rate_limited(handler: Handler, principal: str, request: web.Request) -> web.StreamResponse:
    kind: Kind = "call" if request[CONTEXT].is_message and request.method == "POST" else "other"
    async with rate_limited(request, kind, principal=principal):
        return await handler(request)


def _error_response(request: web.Request, context: RequestContext, err: LongshoreError) -> web.Response:
    context.reason = err.reason
    if context.head_sent:
        return _reset_connection(request)
    if context.route_group == "upload" and accepts_html(request.headers):
        return request.app[UPLOAD_PAGES].error(str(err), err.status)
    answer = answer_error(context, err)
    if challenge := request.app[AUTHENTICATOR].challenge(err, context.server):
        answer.headers["WWW-Authenticate"] = challenge
    answer.headers.update(tus_headers.error_headers(request.headers))
    return answer


def _reset_connection(request: web.Request) -> web.Response:
    """Reset the connection. The returned response is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


def _aiohttp_error_response(context: RequestContext, err: web.HTTPException) -> web.Response:
    """Answer to an error that aiohttp raised, as JSON of the route's form."""
    if isinstance(err, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(err.allowed_methods))
        response = answer_error(context, MethodNotAllowed(f"this path accepts {allowed}"))
        response.headers["Allow"] = allowed
        return response
    if isinstance(err, web.HTTPNotFound):
        return answer_error(context, NotFound("there is no route for this path"))
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
    """Answer to an error in the form of its route: JSON of our own, a JSON-RPC error, or a tool result."""
    context.reason = err.reason
    if not context.is_message:
        fields = {"detail": str(err), "reason": err.reason} | ({"data": err.details} if err.details else {})
        body, status = _encode(fields), err.status
    else:
        body, status = error_message(context, err), error_status(context, err)
    headers: dict[str, str] = {}
    if isinstance(err, Unavailable) and status in (429, 503):
        headers["Retry-After"] = str(err.retry_after_s)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _count_bytes(request: web.Request, context: RequestContext, response: web.StreamResponse | None) -> None:
    """Count the bytes of the request's and the response's body. A body that is not written yet is known already."""
    body = response.body if isinstance(response, web.Response) else None
    sent = len(body) if isinstance(body, bytes | bytearray) else response.body_length if response is not None else 0
    request.app[METRICS].messages(server=context.server, received=request.content.total_bytes, sent=sent)


def _count_and_log(request: web.Request, context: RequestContext, status: int) -> None:
    metrics = request.app[METRICS]
    elapsed_s = monotonic_s() - context.started_s
    metrics.http_request(
        server=context.server, method=request.method, route_group=context.route_group, status=status,
        duration_s=elapsed_s,
    )
    if status >= 400 and context.reason:
        metrics.rejected(server=context.server, route_group=context.route_group, reason=context.reason, status=status)
        if context.route_group == "download":
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
