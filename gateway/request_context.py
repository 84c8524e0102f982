"""Context of one HTTP request: what the edge found out about it, and what it logs and counts at its end."""

from dataclasses import dataclass, field

from aiohttp import web

from longshore.gateway.auth.principal import Principal
from longshore.gateway.wire.envelope import MessageId
from longshore.shared.errors import Unauthorized
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
    """Facts about one request, which the edge logs and counts once."""

    request_id: str
    route_group: str = "other"
    server: str = "global"
    session_id: str = ""
    method: str = ""               # JSON-RPC method, as far as it is one that we know
    tool: str = ""                 # that a call names, where the upstream lists it, else `other`
    message_id: MessageId = None   # of the JSON-RPC request, for errors
    is_modern: bool = False        # the message is of the stateless revision, and so are its errors
    is_message: bool = False       # errors are answered as JSON-RPC
    in_tool_call: bool = False     # errors that the caller can correct are answered as tool results
    executing: bool = False        # the message was accepted: upstream failures are answers, not HTTP errors
    head_sent: bool = False        # too late for another answer: a failure can only cut this one off
    reason: str = ""
    started_s: float = 0.0
    principal: Principal | None = None
    trace: RootSpan | None = None      # where requests are traced, this one or not
    counts: dict[str, int] = field(default_factory=dict)


class ResponseCutOff(Exception):
    """The answer under way cannot be finished: the client must see that it is cut."""


GROUPS = web.AppKey("groups", dict[str, Group])     # by a resource's canonical path
CONTEXT = web.RequestKey("note", RequestContext)


def context_of(request: web.Request) -> RequestContext:
    """Context that the edge made for this request."""
    return request[CONTEXT]


def principal_of(request: web.Request) -> Principal:
    """The principal that the edge found. Raises Unauthorized where a route was left open by mistake."""
    principal = context_of(request).principal
    if principal is None:
        raise Unauthorized("this route needs a caller")
    return principal
