"""An upstream's answer on its way to the client: as it arrives, or with one message changed.

Without a change, bytes pass through as they come, and a slow client slows the upstream. With one, only
the response to this request is held; everything else on an SSE stream passes at once.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial

import structlog
from aiohttp import web

from longshore.gateway.appkeys import EVENT_LISTENER, SESSIONS, TASKS
from longshore.gateway.mcp.exchange import Exchange, Sink
from longshore.gateway.mcp.forwarding import resume
from longshore.gateway.mcp.forwarding.resume import MAX_EVENT_BYTES
from longshore.gateway.mcp.forwarding.translate import Change, on_side_message, translate_response
from longshore.gateway.mcp.list_cache import CHANGED, LIST_CACHE
from longshore.gateway.mcp.replies.event_streams import STREAMS, OpenStream, Streams
from longshore.gateway.mcp.subscriptions.acknowledgement import Acknowledgement
from longshore.gateway.metrics import METRICS
from longshore.gateway.request_context import CutOff, RequestContext
from longshore.gateway.upstream.client import UpstreamResponse
from longshore.gateway.wire import jsonrpc, result_fields, sse, to_legacy
from longshore.gateway.wire.envelope import Kind
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import (
    ArtifactMissing,
    InputMissing,
    InvalidParams,
    LongshoreError,
    MissingCapability,
    NotFound,
    OverQuota,
    ToolInputError,
    UpstreamDown,
)
from longshore.shared.messaging.pubsub import RESOURCES, RESYNC, Event

log = structlog.get_logger(__name__)

_MESSAGES = frozenset({"application/json", "text/event-stream"})
_QUIET_S = 5.0               # that a client waits for the head of a stream, at most
STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


async def relay(
    exchange: Exchange, answer: UpstreamResponse, *, change: Change | None = None, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """Hand `answer` to the client, the response of this request changed by `change`.

    `change` may still edit `headers` as long as the answer is JSON: its head goes out last. Raises UpstreamDown
    for what no revision has an answer be.
    """
    check_kind(answer, asked=exchange.envelope.kind is Kind.REQUEST)
    headers = {} if headers is None else headers
    if exchange.is_restated or _is_translated(exchange):
        change = translate_response(exchange, change)
        if answer.status != 200 and answer.content_type == "application/json":
            return await _refused(exchange, answer, change)
    if exchange.sink is not None:
        if answer.status != 200 and exchange.stateless is not None:      # a refusal in the upstream's own words
            head = {**answer.forwarded_headers, "Content-Type": answer.media_type}
            return web.Response(status=answer.status, body=await answer.read(), headers=head)
        return await _into(exchange.sink, exchange, answer, change)
    if change is not None and answer.status == 200:
        if answer.is_stream:
            return await _stream_changed(exchange, answer, change, headers)
        came = await answer.read()
        body = await change(came)
        kind = answer.media_type if body is came and answer.media_type else "application/json"
        return web.Response(status=status_of(exchange, body), body=body, headers={**headers, "Content-Type": kind})
    return await relay_bytes(exchange.request, answer, exchange.context, headers=headers)


def check_kind(answer: UpstreamResponse, *, asked: bool) -> None:
    """Raise UpstreamDown for an answer that no client could use: a web page, a redirect, a bare failure, or
    nothing where something was `asked`. Refusals (4xx) are the upstream's to word.
    """
    status = answer.status
    if not 300 <= status < 400 and (answer.content_type in _MESSAGES or 400 <= status < 500):
        return
    if status < 300 and not asked:
        return
    what = f"and a body of type {answer.content_type}" if answer.content_type else "and no message"
    raise UpstreamDown(f"the upstream server answered with HTTP status {status} {what}, which is not MCP")


async def _into(
    sink: Sink, exchange: Exchange, answer: UpstreamResponse, change: Change | None
) -> web.StreamResponse:
    """Hand the messages of the answer to a batch. The response that is returned goes nowhere."""
    if not answer.is_stream:
        body = await answer.read()
        if answer.status != 200 and not jsonrpc.is_response_to(body, exchange.envelope.id):
            raise UpstreamDown(f"the upstream server answered with HTTP status {answer.status}")
        exchange.answered = True
        await sink.send(await change(body) if change is not None and answer.status == 200 else body)
        return web.Response()
    parser = sse.Parser(MAX_EVENT_BYTES)
    async with aclosing(_chunks(exchange, answer)) as chunks:
        async for chunk in chunks:
            for event in parser.feed(chunk):
                if jsonrpc.is_response_to(event.data, exchange.asked_id):
                    data = await change(event.data) if change is not None else event.data
                    exchange.answered = True
                    await sink.send(data)
                elif event.data and not sink.answers_only and on_side_message(exchange, event.data):
                    watch_lists(exchange.request, exchange.context, event.source)
                    await sink.send(event.data)
    if not exchange.answered:
        raise UpstreamDown("the upstream server ended its stream without an answer")
    return web.Response()


@dataclass(frozen=True, slots=True)
class Standing:
    """A stream that stands until its client leaves or we drain."""

    farewell: bytes = b""        # the event that it ends with when we drain
    scope: str = ""              # in which it is told what changes of longshore's own, "" for nowhere
    notice: bytes = b""          # the event that tells it
    acknowledgement: Acknowledgement | None = None   # of the stream, before which nothing is told


async def relay_bytes(
    request: web.Request, answer: UpstreamResponse, context: RequestContext, *, headers: dict[str, str],
    standing: Standing | None = None,
) -> web.StreamResponse:
    """Pass the answer through untouched but for what a `standing` stream is told; a short body in one write."""
    if answer.media_type:
        headers = {**headers, "Content-Type": answer.media_type}
    headers |= answer.forwarded_headers
    if not answer.is_stream and (whole := await answer.read_short()) is not None:
        return web.Response(status=answer.status, body=whole, headers=headers)
    if answer.is_stream:
        headers = headers | STREAM_HEADERS
    response = web.StreamResponse(status=answer.status, headers=headers)
    if not answer.is_stream:
        response.content_length = answer.length    # where it is known: a body that breaks off then shows
    context.head_sent = True
    await response.prepare(request)
    try:
        if answer.is_stream:
            await _copy_stream(request, answer, response, context, standing=standing)
        else:
            async for chunk in answer.chunks():
                await response.write(chunk)
    except LongshoreError as err:
        await break_off(response, context, err, is_stream=answer.is_stream)
    await response.write_eof()
    return response


async def _copy_stream(
    request: web.Request, answer: UpstreamResponse, response: web.StreamResponse, context: RequestContext, *,
    standing: Standing | None,
) -> None:
    """Copy until the end, or until we drain where it is a `standing` stream."""
    streams = request.app[STREAMS]
    stream = streams.add(response, None if standing is not None else partial(first_byte, request, context))

    async def copy() -> None:
        chunks: AsyncIterator[bytes] = answer.chunks()
        if standing is not None and standing.acknowledgement is not None:
            chunks = standing.acknowledgement.through(chunks)
        async for chunk in chunks:
            watch_lists(request, context, chunk)
            await stream.write(chunk)

    if standing is not None and context.trace is not None:
        context.trace.end_early(answer.status)
    try:
        if standing is None:
            await copy()
        elif not standing.scope:
            await _hold(streams, stream, copy(), standing)
        else:
            on_event = partial(_tell, request, stream, standing)
            async with request.app[EVENT_LISTENER].subscribed(standing.scope, on_event):
                await _hold(streams, stream, copy(), standing)
    finally:
        streams.remove(stream)


async def _hold(streams: Streams, stream: OpenStream, copying: Coroutine[None, None, None], standing: Standing) -> None:
    if not await streams.hold(copying):
        await stream.close(standing.farewell)


def _tell(request: web.Request, stream: OpenStream, standing: Standing, event: Event) -> None:
    is_early = standing.acknowledgement is not None and not standing.acknowledgement.is_out
    if event.kind in (RESOURCES, RESYNC) and not is_early and stream.put(standing.notice):
        request.app[TASKS].spawn(stream.flush(), name="tell_of_change")


async def _stream_changed(
    exchange: Exchange, answer: UpstreamResponse, change: Change, headers: dict[str, str]
) -> web.StreamResponse:
    """The answer's events, the response changed. A client of the stateless revision learns of an error by the status
    of the answer, which waits for a first event, though not for long."""
    async with aclosing(_events(exchange, answer, change)) as events:
        first = await anext(events, None) if _is_translated(exchange) else None
        if first is not None and (status := status_of(exchange, first.response)) != 200:
            return web.Response(status=status, body=first.response, content_type="application/json")
        return await _stream_events(exchange, events, first.source if first is not None else b"", headers)


async def _stream_events(
    exchange: Exchange, events: AsyncIterator["_Event"], first: bytes, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={**headers, **STREAM_HEADERS, "Content-Type": "text/event-stream"})
    exchange.context.head_sent = True
    await response.prepare(exchange.request)
    streams = exchange.request.app[STREAMS]
    stream = streams.add(response, partial(first_byte, exchange.request, exchange.context))
    try:
        if first:
            await stream.write(first)
        async for event in events:
            if event.source:
                await stream.write(event.source)
    except LongshoreError as err:
        await break_off(response, exchange.context, err, is_stream=True)
    finally:
        streams.remove(stream)
    await response.write_eof()
    return response


@dataclass(frozen=True, slots=True)
class _Event:
    """What goes out on a stream."""

    source: bytes                # b"" for nothing: nothing has come for a while
    response: bytes = b""        # where the event is the response


async def _events(exchange: Exchange, answer: UpstreamResponse, change: Change) -> AsyncGenerator[_Event, None]:
    """What of the answer goes to the client. To one that waits for the first event a quiet stream is one, too."""
    parser, waits = sse.Parser(MAX_EVENT_BYTES), _is_translated(exchange)
    async with aclosing(_chunks(exchange, answer)) as chunks:
        while True:
            if waits and not await answer.wait_readable(_QUIET_S):
                waits = False
                yield _Event(b"")
            if not (chunk := await anext(chunks, b"")):
                break
            for event in parser.feed(chunk):
                if jsonrpc.is_response_to(event.data, exchange.asked_id):
                    data = await change(event.data)
                    yield _Event(event.source if data is event.data else event.with_data(data), data)
                elif on_side_message(exchange, event.data):
                    watch_lists(exchange.request, exchange.context, event.source)
                    waits = False
                    yield _Event(event.source)
    yield _Event(parser.rest())


def _chunks(exchange: Exchange, answer: UpstreamResponse) -> AsyncGenerator[bytes, None]:
    """The answer as it arrives. A client of the stateless revision does not resume a stream of the session era."""
    return resume.chunks(exchange, answer) if _is_translated(exchange) else answer.chunks()


def _is_translated(exchange: Exchange) -> bool:
    return exchange.stateless is not None and exchange.stateless.is_translated


def status_of(exchange: Exchange, response: bytes) -> int:
    """The status of an answer that is this response: one of the session era says nothing by it."""
    return to_legacy.status_of(response) if _is_translated(exchange) else 200


def first_byte(request: web.Request, context: RequestContext) -> None:
    """Count how long the client waited for the first of its stream."""
    request.app[METRICS].first_byte(server=context.server, after_s=monotonic_s() - context.started_s)


def watch_lists(request: web.Request, context: RequestContext, data: bytes) -> None:
    """Notice that an upstream's list has changed. A notification cut in two between chunks goes unnoticed here;
    the list is then kept for its time at most."""
    if CHANGED in data and request.app[LIST_CACHE].is_on and context.session_id:
        request.app[TASKS].spawn(request.app[SESSIONS].count_list_change(context.session_id), name="lists_changed")


async def break_off(
    response: web.StreamResponse, context: RequestContext, err: LongshoreError, *, is_stream: bool
) -> None:
    """Tell of `err` when the head is gone out already: on the stream, or by cutting a body whose length was promised.
    """
    context.reason = err.reason
    log.info("answer_broken_off", reason=err.reason, server=context.server)
    if not is_stream:
        raise CutOff from err
    if context.message_id is not None:
        await response.write(sse.event(error_message(context, err)))


async def _refused(exchange: Exchange, answer: UpstreamResponse, change: Change) -> web.StreamResponse:
    body = came = await answer.read()
    with suppress(*() if exchange.is_restated else (UpstreamDown,)):     # what is no message stays as it is
        body = await change(came)
    if exchange.is_restated:                 # to a client with a session, 404 says that the session is gone
        if exchange.sink is not None:
            exchange.answered = True
            await exchange.sink.send(body)
        return web.Response(body=body, content_type="application/json")
    return web.Response(
        status=answer.status, body=body, content_type="application/json", headers=answer.forwarded_headers
    )


_FOR_THE_CALLER = (ToolInputError, ArtifactMissing, OverQuota, MissingCapability, InputMissing)


def error_message(context: RequestContext, err: LongshoreError) -> bytes:
    """The JSON-RPC form of an error of this request: a tool result where the caller can correct it."""
    if context.in_tool_call and isinstance(err, _FOR_THE_CALLER) and not (
        context.is_modern and isinstance(err, MissingCapability)    # for which that revision has an error of its own
    ):
        failure = jsonrpc.tool_failure(err)
        said = result_fields.own_result("tools/call", failure) if context.is_modern else failure
        return jsonrpc.result(context.message_id, said)
    # The stateless revision has no code of its own for what is not there.
    no_such = context.is_modern and isinstance(err, NotFound) and err.code == NotFound.code
    return jsonrpc.error(context.message_id, err, code=InvalidParams.code if no_such else None)
