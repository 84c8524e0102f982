"""Route from a legacy client to a modern upstream: each request carries what the upstream must know of the session."""

from dataclasses import dataclass

from longshore.gateway.appkeys import SESSIONS
from longshore.gateway.mcp.exchange import Exchange, Forward, Route
from longshore.gateway.mcp.forwarding import mirrored_headers
from longshore.gateway.mcp.forwarding.cancellations import CANCELLATIONS
from longshore.gateway.upstream import tool_listing
from longshore.gateway.upstream.client import UpstreamExchange, UpstreamResponse
from longshore.gateway.upstream.headers import own_request_headers
from longshore.gateway.upstream.tool_listing import ToolListing
from longshore.gateway.wire import modern, to_modern
from longshore.gateway.wire.declared_client import DeclaredClient, parse_initialize
from longshore.shared import tracing


@dataclass(slots=True)
class ToModern(Route):
    """Route from a legacy client to a modern upstream."""

    forward: Forward | None

    translates = True
    reads_schemas = True

    async def request(self, exchange: Exchange, body: bytes) -> tuple[dict[str, str], bytes]:
        client, log_level = await client_introduction(exchange)
        message = exchange.envelope
        headers = own_request_headers(self.headers(exchange))
        headers |= modern.request_headers(message.method, name=modern.name_of(message.method, message))
        if message.method == "tools/call":
            headers |= mirrored_headers.build(exchange, body)
        return headers, to_modern.request(body, client, log_level=log_level, traceparent=tracing.traceparent())

    def started(self, exchange: Exchange, running: UpstreamExchange) -> None:
        """Raise Cancelled where the client has cancelled its call."""
        exchange.request.app[CANCELLATIONS].register(exchange.caller.session_id, exchange.envelope.id, running)

    def ended(self, exchange: Exchange, running: UpstreamExchange) -> None:
        exchange.request.app[CANCELLATIONS].unregister(exchange.caller.session_id, exchange.envelope.id, running)

    def cancel(self, exchange: Exchange, reason: str) -> None:
        """Do nothing: closing the stream is all that the modern revision has (basic/patterns/cancellation)."""

    def response(self, exchange: Exchange, data: bytes) -> bytes:
        return to_modern.response(data, exchange.envelope.method)

    def refusal(self, exchange: Exchange, answer: UpstreamResponse, body: bytes) -> tuple[bytes, int]:
        """Answer with the error as a response: to a legacy client, 404 says that its session is gone."""
        if answer.content_type != "application/json":
            return body, answer.status
        return self.response(exchange, body), 200

    async def has_new_headers(self, exchange: Exchange, answer: UpstreamResponse, body: bytes) -> bool:
        if not await mirrored_headers.is_mismatch(exchange, answer):
            return False
        before = mirrored_headers.build(exchange, body)
        await mirrored_headers.refresh(exchange)
        return mirrored_headers.build(exchange, body) != before

    async def list_tools(self, exchange: Exchange, head: dict[str, str]) -> ToolListing:
        return await tool_listing.list_modern(exchange.mount.client, head)


async def client_introduction(exchange: Exchange) -> tuple[DeclaredClient, str]:
    """Read what the session's client declared at `initialize`, and the log level that it set, "" for none."""
    init_params, log_level = await exchange.request.app[SESSIONS].client_settings(exchange.caller.session_id)
    accepts_requests = exchange.reply.takes_messages
    return parse_initialize(init_params, exchange.session.protocol, accepts_requests=accepts_requests), log_level
