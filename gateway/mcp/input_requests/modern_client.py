"""Calls whose server may ask the client: their first request, and each that brings answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import Exchange, Sink
from longshore.gateway.mcp.forwarding.translate import answer_server
from longshore.gateway.mcp.input_requests import listen_during_call
from longshore.gateway.mcp.input_requests.call_output import LocalCall, OutputSource, RemoteCall, stream_to_client
from longshore.gateway.mcp.input_requests.request_state import RequestState, verified
from longshore.gateway.mcp.input_requests.suspended_call import Ended, Request, Resumed, SuspendableCall
from longshore.gateway.mcp.input_requests.suspended_calls import SUSPENDED_CALLS, SuspendedCalls
from longshore.gateway.upstream.client import FORWARDED_HEADERS
from longshore.gateway.wire import inputs, progress, to_legacy
from longshore.gateway.wire.envelope import Envelope
from longshore.gateway.wire.inputs import InputCapabilities, Retry
from longshore.shared.clock import now_ms
from longshore.shared.errors import CallLost, InvalidState, LongshoreError, StoreDown
from longshore.shared.state.sessions import Caller

Handle = Callable[[Exchange], Awaitable[web.StreamResponse]]
_BOX_MS = 60_000             # renewed while somebody listens
_encode = msgspec.msgpack.Encoder().encode


async def begin(exchange: Exchange, handle: Handle, takes: InputCapabilities) -> web.StreamResponse:
    """A call of a client that takes questions: `handle` runs beside the request, and may outlive it."""
    request, context = exchange.request, exchange.context
    assert exchange.stateless is not None
    asked = Request(exchange.caller, exchange.envelope.method, exchange.body)
    call = exchange.stateless.asking = SuspendableCall(asked, takes, partial(answer_server, exchange))
    exchange.context = replace(context, in_tool_call=exchange.envelope.method == "tools/call")

    async def send(data: bytes) -> None:
        if exchange.answered:
            call.end(Ended(data, to_legacy.status_of(data)))
        else:
            await call.say(data)

    exchange.sink = Sink(send, answers_only=False)
    call.task = request.app[TASKS].start(_run(exchange, handle, call), name="asking_call", keeps_trace=True)
    try:
        return await stream_to_client(request, LocalCall(request.app[SUSPENDED_CALLS], call), exchange.envelope)
    finally:
        context.tool = exchange.context.tool


async def with_standing_stream(exchange: Exchange, handle: Handle) -> web.StreamResponse:
    """The call by `handle`, whose server may also ask on its session's standing stream."""
    call = exchange.stateless.asking if exchange.stateless is not None else None
    if call is None or not exchange.session.upstream_id:
        return await handle(exchange)
    async with listen_during_call.standing_stream_open(exchange, call):
        return await handle(exchange)


async def resume(
    request: web.Request, caller: Caller, message: Envelope, again: Retry, takes: InputCapabilities
) -> web.StreamResponse:
    """A request that brings answers, to whichever gateway it came.

    Raises InvalidState where its state is not good for it, CallLost where the call is gone.
    """
    parked = request.app[SUSPENDED_CALLS]
    state = verified(
        parked.sealer, again.state, caller, inputs.call_digest(message.method, again.body), now_ms()
    )
    responses = {key: bytes(given) for key, given in again.responses.items()}
    now = Resumed(takes, progress.token_of(again.body), responses)
    scope, mailboxes = caller.session_id, parked.mailboxes
    if state.process == parked.parcels.process:
        call = parked.find(state.call)
        if call is None:
            raise _answered()
        here = LocalCall(parked, call)
        await _deliver(parked, state, now, here)
        try:
            await parked.resume(call, state.round, now)
        except asyncio.CancelledError:
            here.leave()
            raise
        return await stream_to_client(request, here, message)
    if not await parked.parcels.is_alive(state.process):
        raise CallLost("the gateway that held this call is gone; make the call again")
    async with mailboxes.open(scope, ttl_ms=_BOX_MS) as box:
        there = RemoteCall(parked, parked.parcels.receiver(scope, box, state.process), state, request.app[TASKS])
        await _deliver(parked, state, Resumed(now.takes, now.token, now.responses, box.id), there)
        return await stream_to_client(request, there, message)


async def _deliver(parked: SuspendedCalls, state: RequestState, now: Resumed, source: OutputSource) -> None:
    """Hand the answers to the call. Raises InvalidState where it has some already, or is over."""
    try:
        is_first = await parked.mailboxes.deliver(state.scope, state.box, _encode(now))
    except (asyncio.CancelledError, StoreDown):
        source.leave()           # they may have come all the same, and nobody would hear the call
        raise
    if not is_first:
        raise _answered()


def _answered() -> InvalidState:
    return InvalidState("this requestState was used before, or its call was given up; make the call again without it")


async def _run(exchange: Exchange, handle: Handle, call: SuspendableCall) -> None:
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
    return {name: response.headers[name] for name in ("Content-Type", *FORWARDED_HEADERS) if name in response.headers}
