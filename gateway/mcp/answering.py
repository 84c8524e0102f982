"""What a client is told of a call whose server may ask it: to its first request, and to each that brings answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import msgspec
from aiohttp import web

from gateway.appkeys import PARKED, STREAMS, TASKS, Note
from gateway.asking.call import AskingCall, Ended, Quiet, Request, Resumed, Said
from gateway.asking.parked import ParkedCalls
from gateway.asking.stands import quietly
from gateway.asking.state import State, verified
from gateway.mcp import attending
from gateway.mcp.exchange import Exchange, Sink, note_of
from gateway.mcp.relay import STREAM_HEADERS, error_message, first_byte
from gateway.mcp.translating import answer_server
from gateway.upstream.client import PASSED_ON
from gateway.wire import inputs, progress, sse, to_legacy
from gateway.wire.envelope import Envelope
from gateway.wire.inputs import Again, Takes
from shared.clock import now_ms
from shared.errors import CallLost, InvalidState, LongshoreError, UpstreamDown
from shared.jobs import JobRefused
from shared.refusals import error_of
from shared.state.parcels import Incoming
from shared.state.sessions import Caller
from shared.tasks import Tasks

Handle = Callable[[Exchange], Awaitable[web.StreamResponse]]
_JSON = "application/json"
_BOX_MS = 60_000             # renewed while somebody listens
_encode = msgspec.msgpack.Encoder().encode
_items: msgspec.msgpack.Decoder[Said | Ended | JobRefused] = msgspec.msgpack.Decoder(Said | Ended | JobRefused)


class _Source(Protocol):
    """Where a call is heard."""

    async def hear(self) -> Said | Quiet | Ended:
        """What comes next. Raises what the call failed with."""

    def leave(self) -> None:
        """The client went away, which cancels its call (MCP 2026-07-28 basic/patterns/cancellation)."""


@dataclass(frozen=True, slots=True)
class _Here:
    """A call of this gateway."""

    parked: ParkedCalls
    call: AskingCall

    async def hear(self) -> Said | Quiet | Ended:
        return await self.parked.hear(self.call)

    def leave(self) -> None:
        self.parked.give_up(self.call, "the client went away")


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """A call that another gateway holds."""

    parked: ParkedCalls
    incoming: Incoming
    state: State
    tasks: Tasks

    async def hear(self) -> Said | Quiet | Ended:
        data = await self.incoming.next()
        if data is None:
            return Quiet()
        item = _items.decode(data)
        if isinstance(item, JobRefused):
            raise error_of(item)
        return item

    def leave(self) -> None:
        told = self.parked.mailboxes.deliver(self.state.scope, self.state.leaving, b"")
        self.tasks.spawn(quietly(told), name="tell_of_leaving")


async def begin(exchange: Exchange, handle: Handle, takes: Takes) -> web.StreamResponse:
    """A call of a client that takes questions: `handle` runs beside the request, and may outlive it."""
    request, note = exchange.request, exchange.note
    assert exchange.stateless is not None
    asked = Request(exchange.caller, exchange.envelope.method, exchange.body)
    call = exchange.stateless.asking = AskingCall(asked, takes, partial(answer_server, exchange))
    exchange.note = replace(note, in_tool_call=exchange.envelope.method == "tools/call")

    async def send(data: bytes) -> None:
        if exchange.answered:
            call.end(Ended(data, to_legacy.status_of(data)))
        else:
            await call.say(data)

    exchange.sink = Sink(send, answers_only=False)
    call.task = request.app[TASKS].start(_run(exchange, handle, call), name="asking_call", is_same_work=True)
    try:
        return await _told(request, _Here(request.app[PARKED], call), exchange.envelope)
    finally:
        note.tool = exchange.note.tool


async def attended(exchange: Exchange, handle: Handle) -> web.StreamResponse:
    """The call by `handle`, whose server may also ask on its session's standing stream."""
    call = exchange.stateless.asking if exchange.stateless is not None else None
    if call is None or not exchange.session.upstream_id:
        return await handle(exchange)
    async with attending.heard(exchange, call):
        return await handle(exchange)


async def go_on(
    request: web.Request, caller: Caller, message: Envelope, again: Again, takes: Takes
) -> web.StreamResponse:
    """A request that brings answers, to whichever gateway it came.

    Raises InvalidState where its state is not good for it, CallLost where the call is gone.
    """
    parked = request.app[PARKED]
    state = verified(
        parked.sealer, again.state, caller, inputs.digest(message.method, again.body), now_ms()
    )
    responses = {key: bytes(given) for key, given in again.responses.items()}
    now = Resumed(takes, progress.token_of(again.body), responses)
    scope, mailboxes = caller.session_id, parked.mailboxes
    if state.process == parked.parcels.process:
        call = parked.find(state.call)
        if call is None or not await mailboxes.deliver(scope, state.box, _encode(now)):
            raise _answered()
        await parked.resume(call, state.round, now)
        return await _told(request, _Here(parked, call), message)
    if not await parked.parcels.lives(state.process):
        raise CallLost("the gateway that held this call is gone; make the call again")
    async with mailboxes.opened(scope, ttl_ms=_BOX_MS) as box:
        there = Resumed(now.takes, now.token, now.responses, box.id)
        if not await mailboxes.deliver(scope, state.box, _encode(there)):
            raise _answered()
        incoming = parked.parcels.incoming(scope, box, state.process)
        return await _told(request, _Elsewhere(parked, incoming, state, request.app[TASKS]), message)


def _answered() -> InvalidState:
    return InvalidState("this requestState was used before, or its call was given up; make the call again without it")


async def _run(exchange: Exchange, handle: Handle, call: AskingCall) -> None:
    """The call itself, until the end that its listener hears."""
    try:
        response = await handle(exchange)
        if not exchange.answered:
            body = response.body if isinstance(response, web.Response) else None
            call.end(Ended(bytes(body) if isinstance(body, bytes) else b"{}", response.status, _head_of(response)))
    except LongshoreError as err:
        call.end(err)
    finally:
        call.end(LongshoreError("internal error"))    # where nothing else was the end: its cause is logged


def _head_of(response: web.StreamResponse) -> dict[str, str]:
    """The headers that say something of the answer."""
    return {name: response.headers[name] for name in ("Content-Type", *PASSED_ON) if name in response.headers}


async def _told(request: web.Request, source: _Source, message: Envelope) -> web.StreamResponse:
    """One answer of HTTP: a message where nothing comes before it, else a stream."""
    note = note_of(request)
    note.in_tool_call = message.method == "tools/call"
    outgoing: _Outgoing | None = None
    try:
        while True:
            try:
                heard = await source.hear()
            except LongshoreError as err:
                if outgoing is None:
                    raise
                note.reason = err.reason
                return await outgoing.end(error_message(note, err))
            if isinstance(heard, Ended):
                is_message = heard.headers.get("Content-Type", _JSON).startswith(_JSON)
                body = inputs.renamed(heard.body, message.id) if is_message else heard.body
                if outgoing is not None:
                    refused = UpstreamDown(f"the upstream server answered with HTTP status {heard.status}")
                    return await outgoing.end(body if is_message else error_message(note, refused))
                return web.Response(body=body, status=heard.status, headers={"Content-Type": _JSON, **heard.headers})
            if outgoing is None:
                outgoing = await _Outgoing.begun(request, note)
            if isinstance(heard, Said):
                await outgoing.say(heard.data)
    except (asyncio.CancelledError, ConnectionError):
        source.leave()
        raise
    finally:
        if outgoing is not None:
            outgoing.close()


class _Outgoing:
    """An event stream to the client."""

    def __init__(self, request: web.Request, response: web.StreamResponse, note: Note) -> None:
        self._streams = request.app[STREAMS]
        self._response = response
        self._stream = self._streams.add(response, partial(first_byte, request, note))

    @classmethod
    async def begun(cls, request: web.Request, note: Note) -> "_Outgoing":
        response = web.StreamResponse(headers={**STREAM_HEADERS, "Content-Type": "text/event-stream"})
        note.head_sent = True
        await response.prepare(request)
        return cls(request, response, note)

    async def say(self, data: bytes) -> None:
        await self._stream.write(sse.event(data))

    async def end(self, data: bytes) -> web.StreamResponse:
        await self.say(data)
        await self._response.write_eof()
        return self._response

    def close(self) -> None:
        self._streams.remove(self._stream)
