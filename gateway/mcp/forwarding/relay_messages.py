"""Relaying of an event stream message by message, its response changed or translated, into whatever reply there is.

Only the response to this request is held. Everything else on the stream passes at once.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from longshore.gateway.mcp.exchange import Change, Exchange
from longshore.gateway.mcp.forwarding.resume import MAX_EVENT_BYTES
from longshore.gateway.mcp.replies.event_streams import watch_lists
from longshore.gateway.upstream.client import UpstreamResponse
from longshore.gateway.wire import jsonrpc, sse
from longshore.gateway.wire.sse import Event
from longshore.shared.errors import LongshoreError

_QUIET_S = 5.0               # that a client waits for the head of a stream, at most


async def relay_messages(
    exchange: Exchange, answer: UpstreamResponse, change: Change | None, headers: dict[str, str]
) -> web.StreamResponse:
    """Relay the event stream or the refusal `answer`, its response translated on the route and changed by `change`."""
    if answer.status != 200:
        return await _relay_refusal(exchange, answer)
    return await _relay_events(exchange, answer, change, headers)


async def changed(exchange: Exchange, response: bytes, change: Change | None) -> bytes:
    """Translate the upstream's response on the route, then change it by `change`."""
    response = exchange.route.response(exchange, response)
    return response if change is None else await change(response)


async def _relay_refusal(exchange: Exchange, answer: UpstreamResponse) -> web.StreamResponse:
    body, status = exchange.route.refusal(exchange, answer, await answer.read())
    headers = dict(answer.forwarded_headers)
    if answer.media_type:
        headers["Content-Type"] = answer.media_type
    return await exchange.reply.finish(body, status=status, headers=headers)


async def _relay_events(
    exchange: Exchange, answer: UpstreamResponse, change: Change | None, headers: dict[str, str]
) -> web.StreamResponse:
    """Relay an event stream. Where the HTTP status depends on the response, the head waits for a first event, for a
    while.
    """
    route, reply, response = exchange.route, exchange.reply, None
    parser = sse.Parser(MAX_EVENT_BYTES)
    if not route.defers_head:
        await reply.start(headers)
    try:
        async with aclosing(_chunks(exchange, answer, headers)) as chunks:
            async for chunk in chunks:
                for event in parser.feed(chunk):
                    if jsonrpc.is_response_to(event.data, exchange.upstream_message_id):
                        response = await _finish(exchange, event, change, headers)
                        if reply.owns_response and not reply.is_started:     # an error, told by its HTTP status
                            return response
                    elif route.on_side_message(exchange, event.data):
                        watch_lists(exchange.request, exchange.context, event.source)
                        await reply.notify(event.data, event.source)
        if rest := parser.rest():
            await reply.notify(b"", rest)
    except LongshoreError as err:
        return await reply.fail(err)
    return response if response is not None else await reply.end()


async def _chunks(exchange: Exchange, answer: UpstreamResponse, headers: dict[str, str]) -> AsyncGenerator[bytes, None]:
    """Yield the stream as it arrives. The reply is started where nothing comes for a while."""
    reply, chunks = exchange.reply, exchange.route.chunks(exchange, answer)
    async with aclosing(chunks):
        while True:
            if not reply.is_started and reply.owns_response and not await answer.wait_readable(_QUIET_S):
                await reply.start(headers)
            if not (chunk := await anext(chunks, b"")):
                return
            yield chunk


async def _finish(
    exchange: Exchange, event: Event, change: Change | None, headers: dict[str, str]
) -> web.StreamResponse:
    data = await changed(exchange, event.data, change)
    status = exchange.route.status(data)
    if status == 200:
        await exchange.reply.start(headers)
    return await exchange.reply.finish(
        data, event=event.source if data is event.data else event.with_data(data), status=status
    )
