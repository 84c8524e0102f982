"""Retry loop of a legacy client's request to a modern upstream, which may answer that it wants input first.

The client is asked for it, and the request is sent again with it, until the server answers (MCP 2026-07-28
basic/patterns/mrtr).
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

MOST_ROUNDS = 10             # as the official clients of the revision have it
_PAUSES_S = (0.05, 2.0)      # between rounds without a question, doubled from the first up to the last
_AT_ONCE_S = 0.05


async def forward_with_input(
    exchange: Exchange, body: bytes, *, timeout_s: float | None, change: Change | None = None
) -> web.StreamResponse:
    """Forward the request `body` as `forward` does, with rounds for input. `timeout_s` is the upstream's time alone."""
    cancellations, session_id = exchange.request.app[CANCELLATIONS], exchange.caller.session_id
    call = _Call(exchange, timeout_s, change)
    cancellations.begin(session_id, exchange.envelope.id, call)
    try:
        return await call.run(input_required.without_retry_fields(body))
    except LongshoreError as err:
        return await exchange.reply.fail(err)
    finally:
        cancellations.end(session_id, exchange.envelope.id, call)


class _Call:
    """One call with all its rounds."""

    def __init__(self, exchange: Exchange, timeout_s: float | None, change: Change | None) -> None:
        self._exchange = exchange
        self._reply = exchange.reply
        self._change = change
        self._began_s = _now_s()
        self._waited_s = 0.0
        self._timeout_s = timeout_s
        self._pause_s = _PAUSES_S[0]
        self._links: list[str] = []          # questions that led to a URL, still to be told that they are done

    def fail(self, err: LongshoreError) -> None:
        """Nothing: what is under way is told by itself, and nothing more begins in a call that was cancelled."""

    async def run(self, body: bytes) -> web.StreamResponse:
        """The client's answer. Raises the family."""
        asked_id = self._exchange.envelope.id
        for number in range(1, MOST_ROUNDS + 2):
            response = await self._sent(body, asked_id)
            if isinstance(response, web.StreamResponse):
                return response
            asked = input_required.parse(response)
            if asked is None:
                await self._tell_done()
                final = _under(response, self._exchange.envelope.id)
                return await self._reply.finish(await changed(self._exchange, final, self._change))
            if number > MOST_ROUNDS:
                break
            asked_id = f"longshore-{self._exchange.context.request_id}-{number}"
            body = await self._with_input(body, asked_id, asked)
        raise InputMissing(f"the server asked for input {MOST_ROUNDS} times and wanted more; call it again")

    async def _sent(self, body: bytes, asked_id: MessageId) -> bytes | web.StreamResponse:
        """The server's response to one sending; or what it says instead, as the answer to the client."""
        exchange = self._exchange
        async with send(exchange, body, timeout_s=self._left()) as answer:
            check_kind(answer, is_request=True)
            if answer.is_stream:
                return await self._from_stream(answer, asked_id)
            if answer.content_type != "application/json":
                if self._reply.is_started:
                    raise UpstreamDown(f"the upstream server answered with HTTP status {answer.status}")
                return await relay(exchange, answer)
            return await answer.read()

    async def _from_stream(self, answer: UpstreamResponse, asked_id: MessageId) -> bytes:
        """The response at the end of the stream, all before it handed on."""
        if self._reply.takes_messages:
            await self._reply.start()
        async for event in answer.events(MAX_EVENT_BYTES):
            if jsonrpc.is_response_to(event.data, asked_id):
                with suppress(LongshoreError):       # so that the connection can be used again
                    await answer.peek_body(_AT_ONCE_S)
                return event.data
            if not event.data or jsonrpc.is_notification(event.data):
                watch_lists(self._exchange.request, self._exchange.context, event.data)
                await self._reply.notify(event.data, event.source)
        raise UpstreamDown("the upstream server ended its stream without an answer")

    async def _with_input(self, body: bytes, asked_id: MessageId, asked: InputRequired) -> bytes:
        exchange = self._exchange
        client, _ = await client_introduction(exchange)
        try:
            asked.check(client.capabilities)
        except MissingCapability:
            await legacy_client.check_session(exchange)      # what the client can do went with it
            raise
        began_s = _now_s()
        until_s = began_s + exchange.config.sessions.input_wait_seconds
        if not asked.requests:
            async with legacy_client.waiting(exchange, until_s):
                await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, _PAUSES_S[1])
            return input_required.retry(body, asked_id, asked, {})
        with exchange.request.app[SUSPENDED_CALLS].reserve_slot(exchange.caller.principal):
            answers, links = await legacy_client.ask(exchange, asked, until_s)
        self._waited_s += _now_s() - began_s
        self._links += links
        return input_required.retry(body, asked_id, asked, answers)

    async def _tell_done(self) -> None:
        for message_id in self._links:
            await self._reply.notify(input_required.elicitation_complete(message_id))

    def _left(self) -> float | None:
        """What is left of the upstream's time, which stands still while the client is asked."""
        if self._timeout_s is None:
            return None
        remaining_s = self._timeout_s + self._waited_s - (_now_s() - self._began_s)
        if remaining_s <= 0:
            raise UpstreamTimeout("the upstream server took longer than the time that is configured for the call")
        return remaining_s


def _under(response: bytes, message_id: MessageId) -> bytes:
    """The response under the client's own id."""
    if jsonrpc.is_response_to(response, message_id):
        return response
    return jsonrpc.close_object(jsonrpc.open_object(response) | {"id": jsonrpc.raw(message_id)})


def _now_s() -> float:
    return asyncio.get_running_loop().time()
