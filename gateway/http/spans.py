"""Server span of one HTTP request, with OpenTelemetry's attributes. Holds path templates, never a query string."""

from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web

from longshore.gateway.appkeys import TRACES
from longshore.gateway.metrics import HTTP_METHODS
from longshore.gateway.request_context import RequestContext
from longshore.shared import tracing
from longshore.shared.tracing import RootSpan, Span


def request_span(request: web.Request, context: RequestContext) -> AbstractContextManager[object]:
    """Open the request's span, which continues the caller's trace; a null context while tracing is off."""
    traces = request.app[TRACES]
    if traces is None:
        return tracing.NO_SPAN
    outer = request.headers.get("traceparent", "")
    context.trace = RootSpan(traces, "request", "server", outer, partial(_describe, request, context))
    return context.trace


def _describe(request: web.Request, context: RequestContext, span: Span, status: int) -> None:
    """Set the span's name and attributes by OpenTelemetry's conventions for HTTP and MCP."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "unmatched"
    method = request.method if request.method in HTTP_METHODS else "_OTHER"
    span.rename(f"{context.method} {route}" if context.method else f"{method} {route}")
    span.set("http.request.method", method)
    span.set("http.route", route)
    span.set("http.response.status_code", status)
    span.set("longshore.server", context.server)
    span.set("longshore.request_id", context.request_id)
    if context.method:
        span.set("mcp.method.name", context.method)
    if context.tool:
        span.set("gen_ai.tool.name", context.tool)
    if context.message_id is not None:
        span.set("jsonrpc.request.id", str(context.message_id)[:64])
    if context.reason:
        span.set("error.type", context.reason)
    if status >= 500:
        span.fail(context.reason or str(status))
