"""Input requests to a legacy client: requests of longshore's on the event stream of the call.

The client posts its responses to any gateway, which delivers each to the mailbox of the gateway that runs the call.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import msgspec

from longshore.gateway.appkeys import MAILBOXES, SESSIONS
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.cancellations import CANCELLATIONS
from longshore.gateway.mcp.sessions.end_watcher import SESSION_ENDS
from longshore.gateway.wire import input_required
from longshore.gateway.wire.input_required import InputRequired
from longshore.gateway.wire.protocol_errors import InputMissing
from longshore.shared.errors import LongshoreError, SessionGone
from longshore.shared.ids import is_id
from longshore.shared.messaging.mailboxes import Mailbox

_PREFIX = "longshore-"       # of request ids; the id of the mailbox follows


class InputTimeout:
    """Timeout of a call that waits for its client, which a cancellation ends early."""

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self._timeout = timeout
        self.failure: LongshoreError = InputMissing(
            "the client did not answer what the server needs within the time that is configured for it"
        )

    def fail(self, err: LongshoreError) -> None:
        """End the wait with `err`, unless it has timed out already."""
        if self._timeout.expired():
            return
        self.failure = err
        self._timeout.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def input_timeout(exchange: Exchange, until_s: float) -> AsyncIterator[InputTimeout]:
    """Time out the block at `until_s` by the loop's clock.

    Raises InputMissing then, Cancelled when the client cancels its request.
    """
    cancellations, session_id = exchange.request.app[CANCELLATIONS], exchange.caller.session_id
    timeout = asyncio.timeout_at(until_s)
    wait = InputTimeout(timeout)
    try:
        async with timeout:
            cancellations.register(session_id, exchange.upstream_message_id, wait)
            try:
                yield wait
            finally:
                cancellations.unregister(session_id, exchange.upstream_message_id, wait)
    except TimeoutError:
        if not timeout.expired():
            raise
        raise wait.failure from None


async def request_input(
    exchange: Exchange, required: InputRequired, until_s: float
) -> tuple[dict[str, msgspec.Raw], list[str]]:
    """Return the client's responses, by the server's keys, and the ids of the URL elicitations that the user accepted.

    Raises InputMissing where a response is missing, SessionGone when the session ends meanwhile, and as
    `input_timeout`. Requests that get no response any more are cancelled.
    """
    app, session_id = exchange.request.app, exchange.caller.session_id
    ttl_ms = max(1, int((until_s - asyncio.get_running_loop().time()) * 1000))
    open_ids: set[str] = set()
    async with AsyncExitStack() as stack:
        try:
            async with (
                input_timeout(exchange, until_s) as wait,
                app[SESSION_ENDS].watch(session_id, partial(wait.fail, _session_ended())),
            ):
                boxes: dict[str, Mailbox] = {}
                for key, request in required.requests.items():
                    box = boxes[key] = await stack.enter_async_context(app[MAILBOXES].open(session_id, ttl_ms=ttl_ms))
                    open_ids.add(_PREFIX + box.id)
                    message = input_required.legacy_request(request, _PREFIX + box.id, exchange.session.protocol)
                    await exchange.reply.notify(message)
                received = await asyncio.gather(*(_receive(box, open_ids) for box in boxes.values()))
        except LongshoreError as err:
            await _cancel_requests(exchange, open_ids, err.reason)
            raise
    responses = {
        key: input_required.input_response(request, data)
        for (key, request), data in zip(required.requests.items(), received, strict=True)
    }
    return responses, [
        _PREFIX + boxes[key].id for key, request in required.requests.items()
        if request.is_url and input_required.is_accepted(responses[key])
    ]


async def check_session(exchange: Exchange) -> None:
    """Raise SessionGone when the call's session has ended since the call started."""
    if not await exchange.request.app[SESSIONS].is_live(exchange.caller.session_id):
        raise _session_ended()


def _session_ended() -> SessionGone:
    return SessionGone(
        "this session has ended while its client was asked what the server needs; start a new session with initialize"
    )


async def _receive(box: Mailbox, open_ids: set[str]) -> bytes:
    response = await box.receive()
    open_ids.discard(_PREFIX + box.id)
    return response


async def _cancel_requests(exchange: Exchange, open_ids: set[str], reason: str) -> None:
    with suppress(ConnectionError):      # the client has disconnected
        for message_id in open_ids:
            await exchange.reply.notify(input_required.cancelled(message_id, reason))


async def deliver_response(exchange: Exchange) -> None:
    """Deliver a response of the client to the call that waits for it. A response to no request is dropped."""
    message_id = exchange.envelope.id
    if not isinstance(message_id, str) or not message_id.startswith(_PREFIX):
        return
    if is_id(box_id := message_id.removeprefix(_PREFIX)):
        await exchange.request.app[MAILBOXES].deliver(exchange.caller.session_id, box_id, exchange.body)
