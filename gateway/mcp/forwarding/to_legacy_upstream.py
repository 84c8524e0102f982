"""Route from a modern client to a legacy upstream: requests under ids of longshore's own, responses translated.

Requests that the server sends meanwhile become requests to the client where it takes such; they are refused otherwise.
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from longshore.gateway.mcp.exchange import Exchange, Route
from longshore.gateway.mcp.forwarding import mirrored_headers, resume
from longshore.gateway.mcp.replies.errors import response_status
from longshore.gateway.mcp.subscriptions import publish
from longshore.gateway.mcp.subscriptions.publish import UpstreamContext
from longshore.gateway.request_context import VERSION_HEADER
from longshore.gateway.upstream.client import UpstreamExchange, UpstreamResponse
from longshore.gateway.wire import changes, jsonrpc, result_fields, server_requests, to_legacy
from longshore.gateway.wire.envelope import MessageId
from longshore.shared.errors import LongshoreError, StoreDown, UpstreamDown
from longshore.shared.state.sessions import Caller

_TIMEOUT_S = 10.0


class InputRequests(Protocol):
    """Call whose server may send requests to its client."""

    def request_input(self, data: bytes) -> bytes | None:
        """Queue a request of the server for the client. Returns the response where longshore answers it itself."""

    def use_timer(self, exchange: UpstreamExchange) -> None:
        """Use this exchange's timeout; it is paused while the client is asked."""


@dataclass(slots=True)
class ToLegacy(Route):
    """Route from a modern client to a legacy upstream."""

    id: str                          # under which the upstream knows the message
    log_level: str = ""
    client_fetches_files: bool = False
    takes_urls: bool = False         # the user can be sent to a page
    session_owner: Caller | None = None
    input_requests: InputRequests | None = None      # None where the server may send none
    running: UpstreamExchange | None = None          # that brings the answer

    translates = True
    reads_schemas = True
    lists_carry_ttl = True
    has_404_for_methods = True
    defers_head = True
    cancels_on_disconnect = True     # MCP 2026-07-28 basic/patterns/cancellation

    def headers(self, exchange: Exchange) -> dict[str, str]:
        return {**Route.headers(self, exchange), VERSION_HEADER: exchange.session.protocol}

    def message_id(self, exchange: Exchange) -> MessageId:
        return self.id

    def started(self, exchange: Exchange, running: UpstreamExchange) -> None:
        self.running = running
        if self.input_requests is not None:
            self.input_requests.use_timer(running)

    def response(self, exchange: Exchange, data: bytes) -> bytes:
        hop = to_legacy.TranslationContext(exchange.mount.monitor.server_info, self.takes_urls)
        return to_legacy.response(data, exchange.envelope.id, exchange.envelope.method, hop)

    def status(self, response: bytes) -> int:
        return response_status(response) if b'"error"' in response else 200

    def refusal(self, exchange: Exchange, answer: UpstreamResponse, body: bytes) -> tuple[bytes, int]:
        with suppress(UpstreamDown):         # what is no message stays as it is
            body = self.response(exchange, body)
        return body, answer.status

    async def check_headers(self, exchange: Exchange) -> None:
        if not exchange.mount.monitor.headers.is_empty:
            await mirrored_headers.check(exchange)

    def on_side_message(self, exchange: Exchange, data: bytes) -> bool:
        found = to_legacy.side_message(data, self.log_level)
        if found is to_legacy.SideMessage.REQUEST:
            call = self.input_requests
            if call is not None:
                answer = call.request_input(data)
            else:
                answer = server_requests.own_response(data, server_requests.NO_INPUT)
            if answer is not None:
                exchange.spawn(_refuse(exchange, answer), name="refuse_request")
        elif found is to_legacy.SideMessage.DROP and changes.parse_change(data) is not None:
            exchange.spawn(_publish(exchange, data), name="hand_on_change")
        return found is to_legacy.SideMessage.FORWARD

    def chunks(self, exchange: Exchange, answer: UpstreamResponse) -> AsyncGenerator[bytes, None]:
        """Yield the event stream, resumed where it ends early: a modern client does not resume it."""
        return resume.chunks(exchange, answer, self)

    def own_result(self, exchange: Exchange, value: dict[str, Any]) -> dict[str, Any]:
        return result_fields.own_result(exchange.envelope.method, value)

    def fetches_files(self, exchange: Exchange) -> bool:
        return self.client_fetches_files

    def has_links(self, exchange: Exchange) -> bool:
        return True

    def aside(
        self, exchange: Exchange, message_id: str, method: str, params: jsonrpc.RawMap, name: str
    ) -> "ToLegacy":
        return ToLegacy(message_id)


async def answer_server(exchange: Exchange, answer: bytes) -> None:
    """Send a response of the client's to the server that waits for it. Raises UpstreamDown, UpstreamTimeout."""
    async with exchange.mount.client.exchange(
        "POST", exchange.upstream_headers(), answer, timeout_s=_TIMEOUT_S
    ) as accepted:
        await accepted.read()
        if accepted.status >= 400:
            raise UpstreamDown(f"the upstream server took an answer with HTTP status {accepted.status}")


async def _publish(exchange: Exchange, data: bytes) -> None:
    """Publish a change that a server tells of while it answers, to those who subscribed."""
    with suppress(StoreDown):
        await publish.publish(UpstreamContext(exchange.request, exchange.mount, exchange.session_owner), data)


async def _refuse(exchange: Exchange, answer: bytes) -> None:
    with suppress(LongshoreError):       # the call itself will tell
        await answer_server(exchange, answer)
