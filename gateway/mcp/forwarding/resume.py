"""Resumption of a legacy server's event stream that ended before its response, on behalf of a modern client.

MCP 2025-11-25 basic/transports §Resumability and Redelivery: a stream whose events have ids may end before its
response, and whoever waits for that asks for the rest. A modern client does not ask; longshore does.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.upstream.client import UpstreamExchange, UpstreamResponse
from longshore.gateway.wire import jsonrpc, sse
from longshore.gateway.wire.envelope import MessageId
from longshore.shared.errors import UpstreamDown

MAX_EVENT_BYTES = 64 * 1024 * 1024    # of an answer: results come as one event
_TRIES = 5                   # in a row, to get hold of the stream again
_PAUSE_S = 0.5               # before each, unless the server says otherwise
_LEAST_S, _MOST_S = 0.1, 30.0
_LATER = frozenset({409, 429, 502, 503, 504})


class _Told:
    """Position in the event stream of one answer."""

    def __init__(self, request_id: MessageId) -> None:
        self.last_id = ""                        # "" for none: then nothing can be asked for again
        self.pause_s = _PAUSE_S
        self.is_answered = False
        self.failure: UpstreamDown | None = None     # what the stream broke off with, None where it just ended
        self._request_id = request_id

    def context(self, events: Iterable[sse.Event]) -> bytes:
        """The bytes of whole events, noted."""
        sources = []
        for event in events:
            sources.append(event.source)
            self.last_id = sse.id_of(event.source, self.last_id)
            pause_ms = sse.retry_of(event.source)
            if pause_ms is not None:
                self.pause_s = min(max(pause_ms / 1000, _LEAST_S), _MOST_S)
            self.is_answered = self.is_answered or jsonrpc.is_response_to(event.data, self._request_id)
        return b"".join(sources)


class Call(Protocol):
    """Route of the call, which knows the upstream request that brings its answer."""

    running: UpstreamExchange | None

    def started(self, exchange: Exchange, running: UpstreamExchange) -> None:
        """Note another upstream request, which brings the rest."""


async def chunks(exchange: Exchange, answer: UpstreamResponse, call: Call) -> AsyncGenerator[bytes, None]:
    """Yield the whole events of `answer` until the response has come and the stream has ended.

    Raises UpstreamDown when the response does not come and the stream cannot be resumed, UpstreamTimeout past the
    call's time.
    """
    told = _Told(exchange.upstream_message_id)
    async with aclosing(_events(answer, told)) as events:
        async for event in events:
            yield event
    while told.last_id and not told.is_answered:
        async with _again(exchange, told, call) as more:
            if more is None:
                break
            async with aclosing(_events(more, told)) as events:
                async for event in events:
                    yield event
    if not told.is_answered:
        raise told.failure or UpstreamDown("the upstream server ended its stream without an answer")


async def _events(answer: UpstreamResponse, told: _Told) -> AsyncGenerator[bytes, None]:
    parser = sse.Parser(MAX_EVENT_BYTES)
    told.failure = None
    try:
        async for chunk in answer.chunks():
            if whole := told.context(parser.feed(chunk)):
                yield whole
    except UpstreamDown as err:
        told.failure = err


@asynccontextmanager
async def _again(exchange: Exchange, told: _Told, call: Call) -> AsyncIterator[UpstreamResponse | None]:
    """Resume the stream: the rest of the answer, or None where the server does not give it."""
    for _ in range(_TRIES):
        await asyncio.sleep(told.pause_s)
        headers = {**exchange.upstream_headers(), "Accept": "text/event-stream", "Last-Event-ID": told.last_id}
        timeout_s = None if call.running is None else call.running.remaining_s
        running = exchange.mount.client.exchange("GET", headers, timeout_s=timeout_s)
        try:
            answer = await running.__aenter__()
        except UpstreamDown as err:
            told.failure = told.failure or err
            continue
        try:
            if answer.status == 200 and answer.is_stream:
                call.started(exchange, running)
                yield answer
                return
        finally:
            await running.__aexit__(None, None, None)
        if answer.status not in _LATER:
            break
    yield None
