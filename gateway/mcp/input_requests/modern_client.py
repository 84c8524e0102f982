"""Calls whose server may ask the client: their first request, and each that brings answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.to_legacy_upstream import ToLegacy, answer_server
from longshore.gateway.mcp.input_requests.call_output import LocalCall, OutputSource, RemoteCall, stream_to_client
from longshore.gateway.mcp.input_requests.request_state import RequestState, verified
from longshore.gateway.mcp.input_requests.suspended_call import Ended, Request, Resumed, SuspendableCall
from longshore.gateway.mcp.input_requests.suspended_calls import SUSPENDED_CALLS, SuspendedCalls
from longshore.gateway.mcp.replies.reply import NO_HEADERS
from longshore.gateway.upstream.client import FORWARDED_HEADERS
from longshore.gateway.wire import progress, server_requests
from longshore.gateway.wire.envelope import Envelope
from longshore.gateway.wire.protocol_errors import InvalidState
from longshore.gateway.wire.server_requests import InputCapabilities, Retry
from longshore.shared.clock import now_ms
from longshore.shared.errors import CallLost, LongshoreError, StoreDown, UpstreamDown
from longshore.shared.state.sessions import Caller

_BOX_MS = 60_000             # renewed while somebody listens
_encode = msgspec.msgpack.Encoder().encode


HandleCall = Callable[[Exchange, SuspendableCall], Awaitable[web.StreamResponse]]


async def begin(
    exchange: Exchange, route: ToLegacy, takes: InputCapabilities, handle: HandleCall
) -> web.StreamResponse:
    """Begin a call of a client that takes requests: `handle` runs beside the HTTP request, and may outlive it."""
    request, context = exchange.request, exchange.context
    first = Request(exchange.caller, exchange.envelope.method, exchange.body)
    call = route.input_requests = SuspendableCall(first, takes, partial(answer_server, exchange))
    exchange.context = replace(context, in_tool_call=exchange.envelope.method == "tools/call")
    exchange.reply = SuspendedReply(call)
    call.task = request.app[TASKS].start(_run(exchange, handle, call), name="asking_call", keeps_trace=True)
    try:
        return await stream_to_client(request, LocalCall(request.app[SUSPENDED_CALLS], call), exchange.envelope)
    finally:
        context.tool = exchange.context.tool


async def _run(exchange: Exchange, handle: HandleCall, call: SuspendableCall) -> None:
    """Run the call until the end that whoever listens to it gets."""
    try:
        await handle(exchange, call)
    except LongshoreError as err:
        call.end(err)
    finally:
        call.end(LongshoreError("internal error"))    # where nothing else was the end: its cause is logged


@dataclass(slots=True)
class SuspendedReply:
    """Reply of a suspendable call: its messages go to whoever listens to the call, at whichever gateway."""

    call: SuspendableCall
    owns_response: bool = False
    is_started: bool = False
    takes_messages: bool = True

    async def start(self, headers: Mapping[str, str] = NO_HEADERS, *, status: int = 200) -> None:
        """Nothing: the client's own request decides on the form."""

    async def notify(self, message: bytes, event: bytes | None = None) -> None:
        if message:
            await self.call.say(message)

    async def finish(
        self, response: bytes, *, event: bytes | None = None, status: int = 200,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> web.StreamResponse:
        kept = {name: value for name, value in headers.items() if name in ("Content-Type", *FORWARDED_HEADERS)}
        self.call.end(Ended(response, status, kept))
        return web.Response(status=status)           # goes nowhere

    async def fail(self, err: LongshoreError) -> web.StreamResponse:
        raise err

    def note_failure(self, err: LongshoreError) -> None:
        """Nothing: an error is the end of the call."""

    async def end(self) -> web.StreamResponse:
        raise UpstreamDown("the upstream server ended its stream without an answer")

    def close(self) -> None:
        """Nothing: the client's own request closes its stream."""


async def resume(
    request: web.Request, caller: Caller, message: Envelope, again: Retry, takes: InputCapabilities
) -> web.StreamResponse:
    """A request that brings answers, to whichever gateway it came.

    Raises InvalidState where its state is not good for it, CallLost where the call is gone.
    """
    parked = request.app[SUSPENDED_CALLS]
    state = verified(
        parked.sealer, again.state, caller, server_requests.call_digest(message.method, again.body), now_ms()
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
