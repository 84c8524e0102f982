"""Context of one HTTP request: facts that the edge middleware logs and counts at the request's end."""

from dataclasses import dataclass

from aiohttp import web

from longshore.gateway.auth.principal import Principal
from longshore.gateway.wire.envelope import MessageId
from longshore.shared.errors import BadRequest, Unauthorized
from longshore.shared.tracing import RootSpan

SESSION_HEADER = "Mcp-Session-Id"
VERSION_HEADER = "MCP-Protocol-Version"
MCP_GROUP = "mcp"


@dataclass(frozen=True, slots=True)
class Group:
    """Route group of a resource, for logs and metrics."""

    name: str
    server: str = "global"


@dataclass(slots=True)
class RequestContext:
    """Facts about one request, logged and counted once by the edge middleware."""

    request_id: str
    route_group: str = "other"
    server: str = "global"
    session_id: str = ""
    method: str = ""               # JSON-RPC method, if it is a known one
    tool: str = ""                 # name in a tool call if the upstream lists it, else `other`
    message_id: MessageId = None   # id of the JSON-RPC request, for error answers
    is_modern: bool = False        # the message and its error answers are of the modern revision
    is_message: bool = False       # errors are answered as JSON-RPC
    in_tool_call: bool = False     # errors that the caller can correct are answered as tool results
    executing: bool = False        # the message was accepted: upstream failures are answers, not HTTP errors
    head_sent: bool = False        # too late for an error answer: a failure resets the connection
    reason: str = ""
    started_s: float = 0.0
    principal: Principal | None = None
    trace: RootSpan | None = None  # while tracing is on, sampled or not


class ResponseCutOff(Exception):
    """The response cannot be finished: its connection is reset, so that the client sees that it is incomplete."""


GROUPS = web.AppKey("groups", dict[str, Group])     # by a resource's canonical path
CONTEXT = web.RequestKey("context", RequestContext)


def context_of(request: web.Request) -> RequestContext:
    """Return the context that the edge middleware made for this request."""
    return request[CONTEXT]


def session_id_of(request: web.Request) -> str | None:
    """The session id that the request names, None for none. Raises BadRequest where it names several."""
    named = request.headers.getall(SESSION_HEADER, ())
    if len(named) > 1:
        raise BadRequest(f"the header {SESSION_HEADER} came {len(named)} times; send it once")
    return named[0] if named else None


def principal_of(request: web.Request) -> Principal:
    """Return the authenticated principal. Raises Unauthorized where a route skips authentication by mistake."""
    principal = context_of(request).principal
    if principal is None:
        raise Unauthorized("this route needs authentication")
    return principal
