"""Route from a modern client to a modern upstream: messages pass as they are, under the headers that mirror them."""

from dataclasses import dataclass
from typing import Any

import msgspec

from longshore.gateway.mcp.exchange import Exchange, Route
from longshore.gateway.mcp.forwarding import mirrored_headers
from longshore.gateway.upstream import tool_listing
from longshore.gateway.upstream.client import UpstreamResponse
from longshore.gateway.upstream.tool_listing import ToolListing
from longshore.gateway.wire import jsonrpc, modern, result_fields
from longshore.gateway.wire.envelope import MessageId


@dataclass(slots=True)
class ModernDirect(Route):
    """Route from a modern client to a modern upstream."""

    mirrors: dict[str, str]              # headers that mirror the body
    client_fetches_files: bool = False
    id: MessageId = None                 # of a request of longshore's own; None for that of the client

    lists_carry_ttl = True
    has_404_for_methods = True
    passes_request_state = True

    def headers(self, exchange: Exchange) -> dict[str, str]:
        return Route.headers(self, exchange) | self.mirrors

    def message_id(self, exchange: Exchange) -> MessageId:
        return exchange.envelope.id if self.id is None else self.id

    def cancel(self, exchange: Exchange, reason: str) -> None:
        """Do nothing: closing the stream is all that the modern revision has (basic/patterns/cancellation)."""

    def own_result(self, exchange: Exchange, value: dict[str, Any]) -> dict[str, Any]:
        return result_fields.own_result(exchange.envelope.method, value)

    def fetches_files(self, exchange: Exchange) -> bool:
        return self.client_fetches_files

    def has_links(self, exchange: Exchange) -> bool:
        return True

    async def check_headers(self, exchange: Exchange) -> None:
        if not exchange.mount.monitor.headers.is_empty:
            await mirrored_headers.check(exchange)

    def rebuild_headers(self, exchange: Exchange, body: bytes) -> None:
        self.mirrors = mirrored_headers.rebuild(exchange, body, self.mirrors)

    async def has_new_headers(self, exchange: Exchange, answer: UpstreamResponse, body: bytes) -> bool:
        """Raise HeaderMismatch where the client's own headers do not fit its arguments."""
        if not await mirrored_headers.is_mismatch(exchange, answer):
            return False
        await mirrored_headers.refresh(exchange)
        mirrored_headers.check_known(exchange)
        self.rebuild_headers(exchange, body)
        return body is not exchange.body     # else they are the client's own, which fit as far as can be known here

    async def list_tools(self, exchange: Exchange, head: dict[str, str]) -> ToolListing:
        return await tool_listing.list_modern(exchange.mount.client, head)

    def aside(
        self, exchange: Exchange, message_id: str, method: str, params: jsonrpc.RawMap, name: str
    ) -> "ModernDirect":
        params["_meta"] = _meta_of(exchange.body)
        return ModernDirect(modern.request_headers(method, name=name), id=message_id)


def _meta_of(body: bytes) -> msgspec.Raw:
    """Copy the `_meta` of a message that describes its client, without what belongs to that message alone."""
    meta = jsonrpc.open_object(jsonrpc.open_object(jsonrpc.open_object(body)["params"])["_meta"])
    meta.pop("progressToken", None)
    return jsonrpc.raw(meta)
