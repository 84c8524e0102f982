"""Suspendable calls of modern clients: the client request that starts each, and those that resume it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.to_legacy_upstream import ToLegacy, answer_server
from longshore.gateway.mcp.input_requests import request_state
from longshore.gateway.mcp.input_requests.call_output import stream_to_client
from longshore.gateway.mcp.input_requests.remote_output import RemoteCall
from longshore.gateway.mcp.input_requests.request_state import RequestState
from longshore.gateway.mcp.input_requests.suspended_call import (
    Finished,
    OriginalRequest,
    OutputSource,
    Resumption,
    SuspendableCall,
)
from longshore.gateway.mcp.input_requests.suspended_calls import SUSPENDED_CALLS, LocalCall, SuspendedCalls
from longshore.gateway.mcp.replies.reply import NO_HEADERS, Reply
from longshore.gateway.upstream.client import FORWARDED_HEADERS
from longshore.gateway.wire import progress, server_requests
from longshore.gateway.wire.envelope import Envelope
from longshore.gateway.wire.protocol_errors import InvalidState
from longshore.gateway.wire.server_requests import InputCapabilities, Retry
from longshore.shared.clock import now_ms
from longshore.shared.errors import CallLost, LongshoreError, StoreDown
from longshore.shared.state.sessions import Caller

_BOX_TTL_MS = 60_000         # renewed while output is received
_encode = msgspec.msgpack.Encoder().encode


HandleCall = Callable[[Exchange, SuspendableCall], Awaitable[web.StreamResponse]]


async def start_call(
    exchange: Exchange, route: ToLegacy, declared: InputCapabilities, handle: HandleCall
) -> web.StreamResponse:
    """Start a suspendable call: `handle` runs in a task beside the HTTP request, and may outlive it."""
    request, context = exchange.request, exchange.context
    original = OriginalRequest(exchange.caller, exchange.envelope.method, exchange.body)
    call = route.input_requests = SuspendableCall(original, declared, partial(answer_server, exchange))
    exchange.context = replace(context, in_tool_call=exchange.envelope.method == "tools/call")
    exchange.reply = SuspendedReply(call)
    call.task = request.app[TASKS].start(_run(exchange, handle, call), name="asking_call", keeps_trace=True)
    try:
        return await stream_to_client(request, LocalCall(request.app[SUSPENDED_CALLS], call), exchange.envelope)
    finally:
        context.tool = exchange.context.tool


async def _run(exchange: Exchange, handle: HandleCall, call: SuspendableCall) -> None:
    """Run the call until it is finished."""
    try:
        await handle(exchange, call)
    except LongshoreError as err:
        call.finish(err)
    finally:
        call.finish(LongshoreError("internal error"))    # where it has no outcome yet: the cause is logged


@dataclass(slots=True)
class SuspendedReply(Reply):
    """Reply of a suspendable call: its messages are output of the call, for the client request that is attached."""

    call: SuspendableCall

    takes_messages = True

    async def notify(self, message: bytes, event: bytes | None = None) -> None:
        if message:
            await self.call.notify(message)

    async def finish(
        self, response: bytes, *, event: bytes | None = None, status: int = 200,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> web.StreamResponse:
        kept = {name: value for name, value in headers.items() if name in ("Content-Type", *FORWARDED_HEADERS)}
        self.call.finish(Finished(response, status, kept))
        return web.Response(status=status)           # goes nowhere


async def resume(
    request: web.Request, caller: Caller, message: Envelope, retry: Retry, declared: InputCapabilities
) -> web.StreamResponse:
    """Resume the call that the request's state names, at whichever gateway it runs.

    Raises InvalidState where the state is not valid for this request, CallLost where the call is gone.
    """
    calls = request.app[SUSPENDED_CALLS]
    digest = server_requests.call_digest(message.method, retry.body)
    state = request_state.unseal(calls.sealer, retry.state, caller, digest, now_ms())
    responses = {key: bytes(response) for key, response in retry.responses.items()}
    resumption = Resumption(declared, progress.token_of(retry.body), responses)
    if state.process == calls.message_stream.process:
        call = calls.find(state.call)
        if call is None:
            raise _not_suspended()
        local = LocalCall(calls, call)
        await _deliver(calls, state, resumption, local)
        try:
            await call.resume(state.round, resumption)
        except asyncio.CancelledError:
            local.disconnect()
            raise
        return await stream_to_client(request, local, message)
    if not await calls.message_stream.is_alive(state.process):
        raise CallLost("the gateway that held this call is gone; make the call again")
    async with calls.mailboxes.open(caller.session_id, ttl_ms=_BOX_TTL_MS) as box:
        receiver = calls.message_stream.receiver(caller.session_id, box, state.process)
        remote = RemoteCall(calls.mailboxes, receiver, state, request.app[TASKS])
        await _deliver(calls, state, msgspec.structs.replace(resumption, output_box=box.id), remote)
        return await stream_to_client(request, remote, message)


async def _deliver(
    calls: SuspendedCalls, state: RequestState, resumption: Resumption, source: OutputSource
) -> None:
    """Deliver the resumption to the call's mailbox. Raises InvalidState where the call was resumed or is over."""
    try:
        is_first = await calls.mailboxes.deliver(state.scope, state.box, _encode(resumption))
    except (asyncio.CancelledError, StoreDown):
        source.disconnect()      # it may have been delivered, and nobody would read the output
        raise
    if not is_first:
        raise _not_suspended()


def _not_suspended() -> InvalidState:
    return InvalidState("this requestState was used before, or its call was given up; make the call again without it")
