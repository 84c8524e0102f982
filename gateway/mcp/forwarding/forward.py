"""Forwarding of one request: it is sent upstream, and its answer is relayed to the client.

On the plain route bytes pass as they come, and a slow client slows the upstream. `relay_messages` relays event streams
that are changed or translated.

A 404 to a request that named an upstream session says that the session is gone and the request did not run (MCP
2025-11-25 basic/transports §Session Management). So does a 400 that is about the session id, and a tool error that says
it in words, from a server that is configured so. Then the session is renewed and the request sent again,
`sessions.upstream_session_termination_retries` times at most. A call whose headers do not fit what the server's tools
want by now is sent once more with others.
"""

import asyncio
from types import TracebackType

from aiohttp import web

from longshore.gateway.mcp.exchange import Change, Exchange
from longshore.gateway.mcp.forwarding.relay_messages import relay_messages
from longshore.gateway.mcp.replies.event_streams import watch_lists
from longshore.gateway.mcp.sessions.renewal import renew
from longshore.gateway.request_context import ResponseCutOff
from longshore.gateway.upstream.client import UpstreamExchange, UpstreamResponse
from longshore.gateway.upstream.rpc import end_session
from longshore.gateway.wire import lost_sessions
from longshore.gateway.wire.envelope import Kind
from longshore.gateway.wire.modern import INPUT_METHODS
from longshore.shared.errors import LongshoreError, UpstreamDown, UpstreamTimeout

_MESSAGES = frozenset({"application/json", "text/event-stream"})
_PEEK_S = 0.05


async def forward(
    exchange: Exchange, body: bytes, *, timeout_s: float | None, change: Change | None = None
) -> web.StreamResponse:
    """Forward the request `body` and relay the answer, its response changed by `change`.

    `timeout_s` is for the upstream alone. Raises as `send` and `relay`.
    """
    if exchange.route.forward is not None and exchange.envelope.method in INPUT_METHODS:
        return await exchange.route.forward(exchange, body, timeout_s=timeout_s, change=change)
    async with send(exchange, body, timeout_s=timeout_s) as answer:
        return await relay(exchange, answer, change=change)


def send(exchange: Exchange, body: bytes, *, timeout_s: float | None) -> "UpstreamCall":
    """Send the request `body` upstream; `async with` yields the answer, whose last byte must come within `timeout_s`.

    When that time runs out, client and upstream both learn of it.
    """
    return UpstreamCall(exchange, body, timeout_s)


class UpstreamCall:
    """Request to the upstream, sent again where that is due. A class of its own since a generator costs 5 µs more."""

    __slots__ = ("_body", "_exchange", "_running", "_timeout_s")

    def __init__(self, exchange: Exchange, body: bytes, timeout_s: float | None) -> None:
        self._exchange = exchange
        self._body = body
        self._timeout_s = timeout_s
        self._running: UpstreamExchange

    async def __aenter__(self) -> UpstreamResponse:
        exchange, has_rebuilt = self._exchange, False
        left = exchange.config.sessions.upstream_session_termination_retries
        while True:
            lost, answer = exchange.session.upstream_id, await self._send()
            try:
                is_mismatch = answer.status == 400 and not has_rebuilt and (
                    await exchange.route.has_new_headers(exchange, answer, self._body)
                )
                is_lost = not is_mismatch and left > 0 and lost != "" and await has_lost_session(exchange, answer)
            except BaseException as err:
                await self.__aexit__(type(err), err, None)
                raise
            if not is_mismatch and not is_lost:
                return answer
            await self.__aexit__(None, None, None)
            has_rebuilt = has_rebuilt or is_mismatch
            if is_lost:
                left -= 1
                exchange.use_upstream(await renew(exchange.request, exchange.mount, exchange.session_owner, lost=lost))

    async def _send(self) -> UpstreamResponse:
        exchange, is_long_lived = self._exchange, self._exchange.envelope.method == "subscriptions/listen"
        head, body = await exchange.route.request(exchange, self._body)
        running = self._running = exchange.mount.client.exchange(
            "POST", head, body, timeout_s=self._timeout_s, is_long_lived=is_long_lived
        )
        exchange.route.started(exchange, running)
        try:
            return await running.__aenter__()
        except BaseException as err:
            self._end(err)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._running.__aexit__(kind, err, trace)
        finally:
            self._end(err)

    def _end(self, err: BaseException | None) -> None:
        exchange, route = self._exchange, self._exchange.route
        route.ended(exchange, self._running)
        if isinstance(err, UpstreamTimeout) or self._running.has_timed_out:
            route.cancel(exchange, "timed out")      # the client learned of it by `err`, or on its stream
        elif isinstance(err, (asyncio.CancelledError, ConnectionError)) and route.cancels_on_disconnect:
            route.cancel(exchange, "the client went away")


async def has_lost_session(exchange: Exchange, answer: UpstreamResponse) -> bool:
    """True where the answer says that the upstream session is gone and the request did not run."""
    if answer.status == 404:
        return True
    if answer.status == 400:
        return lost_sessions.is_refused_session(await answer.peek_body(_PEEK_S))
    if answer.status != 200 or exchange.envelope.method != "tools/call":
        return False
    if not exchange.mount.server.upstream.lost_session_tool_errors:
        return False
    # A server that refuses does so at once; one that works is waited for no longer than that takes.
    if not lost_sessions.is_lost_session(await answer.peek_body(_PEEK_S)):
        return False
    exchange.spawn(end_session(exchange.mount.client, exchange.upstream_headers()), name="end_upstream_session")
    return True


async def relay(
    exchange: Exchange, answer: UpstreamResponse, *, change: Change | None = None, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """Relay `answer` to the client, the response of this request changed by `change`.

    `change` may still edit `headers` as long as the answer is JSON: its head goes out last. Raises UpstreamDown for an
    answer that is not MCP.
    """
    check_kind(answer, is_request=exchange.envelope.kind is Kind.REQUEST)
    headers = {} if headers is None else headers
    if not exchange.route.translates and exchange.reply.owns_response and (change is None or answer.status != 200):
        return await _relay_bytes(exchange, answer, headers)
    if answer.is_stream or answer.status != 200:
        return await relay_messages(exchange, answer, change, headers)
    return await _relay_body(exchange, answer, change, headers)


async def _relay_body(
    exchange: Exchange, answer: UpstreamResponse, change: Change | None, headers: dict[str, str]
) -> web.StreamResponse:
    """Relay a JSON body, translated on the route and changed by `change`."""
    route, came = exchange.route, await answer.read()
    body = route.response(exchange, came)
    if change is not None:
        body = await change(body)
    media_type = answer.media_type if body is came and answer.media_type else "application/json"
    return await exchange.reply.finish(
        body, status=route.status(body), headers={**headers, "Content-Type": media_type}
    )


def check_kind(answer: UpstreamResponse, *, is_request: bool) -> None:
    """Raise UpstreamDown for an answer that no client could use: a web page, a redirect, a bare failure, or
    no message as the answer to a request. Refusals (4xx) are the upstream's to word.
    """
    status = answer.status
    if not 300 <= status < 400 and (answer.content_type in _MESSAGES or 400 <= status < 500):
        return
    if status < 300 and not is_request:
        return
    what = f"and a body of type {answer.content_type}" if answer.content_type else "and no message"
    raise UpstreamDown(f"the upstream server answered with HTTP status {status} {what}, which is not MCP")


async def _relay_bytes(exchange: Exchange, answer: UpstreamResponse, headers: dict[str, str]) -> web.StreamResponse:
    """Relay the answer untouched; a short body in one write."""
    request, reply = exchange.request, exchange.reply
    if answer.media_type:
        headers = {**headers, "Content-Type": answer.media_type}
    headers |= answer.forwarded_headers
    if not answer.is_stream:
        if (whole := await answer.read_short()) is not None:
            return web.Response(status=answer.status, body=whole, headers=headers)
        return await _relay_long_body(exchange, answer, headers)
    await reply.start(headers, status=answer.status)
    try:
        async for chunk in answer.chunks():
            watch_lists(request, exchange.context, chunk)
            await reply.notify(b"", chunk)
    except LongshoreError as err:
        return await reply.fail(err)
    return await reply.end()


async def _relay_long_body(
    exchange: Exchange, answer: UpstreamResponse, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = answer.length    # where it is known: a body that breaks off then shows
    await response.prepare(exchange.request)
    try:
        async for chunk in answer.chunks():
            await response.write(chunk)
    except LongshoreError as err:
        exchange.reply.note_failure(err)
        raise ResponseCutOff from err
    return response
