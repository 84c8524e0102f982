"""Retry loop of a legacy client's request to a modern upstream, which may return an `input_required` result.

The client is asked for the input and the request is sent again with it, until the server returns another result
(MCP 2026-07-28 basic/patterns/mrtr).
"""

import asyncio
from contextlib import suppress

from aiohttp import web

from longshore.gateway.mcp.exchange import Change, Exchange
from longshore.gateway.mcp.forwarding.cancellations import CANCELLATIONS
from longshore.gateway.mcp.forwarding.forward import check_kind, relay, send
from longshore.gateway.mcp.forwarding.relay_messages import changed
from longshore.gateway.mcp.forwarding.resume import MAX_EVENT_BYTES
from longshore.gateway.mcp.forwarding.to_modern_upstream import client_introduction
from longshore.gateway.mcp.input_requests import legacy_client
from longshore.gateway.mcp.input_requests.suspended_calls import SUSPENDED_CALLS
from longshore.gateway.mcp.replies.event_streams import watch_lists
from longshore.gateway.upstream.client import UpstreamResponse
from longshore.gateway.wire import input_required, jsonrpc
from longshore.gateway.wire.envelope import MessageId
from longshore.gateway.wire.input_required import InputRequired
from longshore.gateway.wire.protocol_errors import InputMissing, MissingCapability
from longshore.shared.errors import LongshoreError, UpstreamDown, UpstreamTimeout

_MAX_ROUNDS = 10              # as in the official clients of the revision
_PAUSES_S = (0.05, 2.0)      # between rounds without an input request, doubled from the first up to the last
_PEEK_S = 0.05


async def forward_with_input(
    exchange: Exchange, body: bytes, *, timeout_s: float | None, change: Change | None = None
) -> web.StreamResponse:
    """Forward the request `body` as `forward` does, with rounds for input. `timeout_s` is the upstream's time alone."""
    cancellations, session_id = exchange.request.app[CANCELLATIONS], exchange.caller.session_id
    loop = _RetryLoop(exchange, timeout_s, change)
    cancellations.register(session_id, exchange.envelope.id, loop)
    try:
        return await loop.run(input_required.without_retry_fields(body))
    except LongshoreError as err:
        return await exchange.reply.fail(err)
    finally:
        cancellations.unregister(session_id, exchange.envelope.id, loop)


class _RetryLoop:
    """One call with all its rounds."""

    def __init__(self, exchange: Exchange, timeout_s: float | None, change: Change | None) -> None:
        self._exchange = exchange
        self._reply = exchange.reply
        self._change = change
        self._started_s = _now_s()
        self._input_s = 0.0                  # spent waiting for the client
        self._timeout_s = timeout_s
        self._pause_s = _PAUSES_S[0]
        self._elicitations: list[str] = []   # ids of URL elicitations whose completion the client is notified of

    def fail(self, err: LongshoreError) -> None:
        """Nothing: the exchange or the wait that is under way fails, and a cancelled call starts no other."""

    async def run(self, body: bytes) -> web.StreamResponse:
        """Send the request until it has a final response, and reply with that. Raises LongshoreError."""
        request_id = self._exchange.envelope.id
        for number in range(1, _MAX_ROUNDS + 2):
            response = await self._send(body, request_id)
            if isinstance(response, web.StreamResponse):
                return response
            required = input_required.parse(response)
            if required is None:
                await self._notify_completion()
                final = _with_id(response, self._exchange.envelope.id)
                return await self._reply.finish(await changed(self._exchange, final, self._change))
            if number > _MAX_ROUNDS:
                break
            request_id = f"longshore-{self._exchange.context.request_id}-{number}"
            body = await self._retry_body(body, request_id, required)
        raise InputMissing(f"the server asked for input {_MAX_ROUNDS} times and wanted more; call it again")

    async def _send(self, body: bytes, request_id: MessageId) -> bytes | web.StreamResponse:
        """Send once and return the JSON-RPC response; an answer that is no message is relayed as it is."""
        exchange = self._exchange
        async with send(exchange, body, timeout_s=self._remaining_s()) as answer:
            check_kind(answer, is_request=True)
            if answer.is_stream:
                return await self._read_stream(answer, request_id)
            if answer.content_type != "application/json":
                if self._reply.is_started:
                    raise UpstreamDown(f"the upstream server answered with HTTP status {answer.status}")
                return await relay(exchange, answer)
            return await answer.read()

    async def _read_stream(self, answer: UpstreamResponse, request_id: MessageId) -> bytes:
        """Return the response at the end of the stream; notifications before it are relayed."""
        if self._reply.takes_messages:
            await self._reply.start()
        async for event in answer.events(MAX_EVENT_BYTES):
            if jsonrpc.is_response_to(event.data, request_id):
                with suppress(LongshoreError):       # so that the connection can be used again
                    await answer.peek_body(_PEEK_S)
                return event.data
            if not event.data or jsonrpc.is_notification(event.data):
                watch_lists(self._exchange.request, self._exchange.context, event.data)
                await self._reply.notify(event.data, event.source)
        raise UpstreamDown("the upstream server ended its stream without an answer")

    async def _retry_body(self, body: bytes, request_id: MessageId, required: InputRequired) -> bytes:
        """Build the request of the next round, with the client's input."""
        exchange = self._exchange
        client, _ = await client_introduction(exchange)
        try:
            required.check(client.capabilities)
        except MissingCapability:
            await legacy_client.check_session(exchange)      # a session that ended has no capabilities
            raise
        started_s = _now_s()
        until_s = started_s + exchange.config.sessions.input_wait_seconds
        if not required.requests:
            async with legacy_client.input_timeout(exchange, until_s):
                await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, _PAUSES_S[1])
            return input_required.retry(body, request_id, required, {})
        with exchange.request.app[SUSPENDED_CALLS].reserve_slot(exchange.caller.principal):
            responses, elicitations = await legacy_client.request_input(exchange, required, until_s)
        self._input_s += _now_s() - started_s
        self._elicitations += elicitations
        return input_required.retry(body, request_id, required, responses)

    async def _notify_completion(self) -> None:
        for elicitation_id in self._elicitations:
            await self._reply.notify(input_required.elicitation_complete(elicitation_id))

    def _remaining_s(self) -> float | None:
        """Return the rest of the upstream's time, which is paused while the client is asked. Raises UpstreamTimeout."""
        if self._timeout_s is None:
            return None
        remaining_s = self._timeout_s + self._input_s - (_now_s() - self._started_s)
        if remaining_s <= 0:
            raise UpstreamTimeout("the upstream server took longer than the time that is configured for the call")
        return remaining_s


def _with_id(response: bytes, message_id: MessageId) -> bytes:
    """Set the client's own id in the response."""
    if jsonrpc.is_response_to(response, message_id):
        return response
    return jsonrpc.close_object(jsonrpc.open_object(response) | {"id": jsonrpc.raw(message_id)})


def _now_s() -> float:
    return asyncio.get_running_loop().time()
