"""A server's questions, put to a client with a session as requests on the stream of its call.

The client posts its answers to any gateway, which hands them to the one where the call waits.
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

_PREFIX = "longshore-"


class ClientWait:
    """What a call waits in, which its client can cancel."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        self._limit = limit
        self.failure: LongshoreError = InputMissing(
            "the client did not answer what the server needs within the time that is configured for it"
        )

    def fail(self, err: LongshoreError) -> None:
        """End the wait with `err`, if it is not at its end already."""
        if self._limit.expired():
            return
        self.failure = err
        self._limit.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def waiting(exchange: Exchange, until_s: float) -> AsyncIterator[ClientWait]:
    """A block that ends at `until_s` by the loop's clock. Raises InputMissing then, Cancelled when the client wants
    no answer any more."""
    cancellations, session_id = exchange.request.app[CANCELLATIONS], exchange.caller.session_id
    limit = asyncio.timeout_at(until_s)
    wait = ClientWait(limit)
    try:
        async with limit:
            cancellations.begin(session_id, exchange.upstream_message_id, wait)
            try:
                yield wait
            finally:
                cancellations.end(session_id, exchange.upstream_message_id, wait)
    except TimeoutError:
        if not limit.expired():
            raise
        raise wait.failure from None


async def ask(
    exchange: Exchange, asked: InputRequired, until_s: float
) -> tuple[dict[str, msgspec.Raw], list[str]]:
    """What the client answers, by the server's keys, and the ids of the questions that led to a URL, where
    the user agreed.

    Raises InputMissing where there is no answer, SessionGone when the session ends meanwhile, and as `waiting`.
    Questions that nobody waits for any more are withdrawn.
    """
    app, session_id = exchange.request.app, exchange.caller.session_id
    ttl_ms = max(1, int((until_s - asyncio.get_running_loop().time()) * 1000))
    open_ids: set[str] = set()
    async with AsyncExitStack() as boxes:
        try:
            async with (
                waiting(exchange, until_s) as wait,
                app[SESSION_ENDS].watch(session_id, partial(wait.fail, _gone())),
            ):
                put: dict[str, Mailbox] = {}
                for key, question in asked.requests.items():
                    box = put[key] = await boxes.enter_async_context(app[MAILBOXES].open(session_id, ttl_ms=ttl_ms))
                    open_ids.add(_PREFIX + box.id)
                    message = input_required.legacy_request(question, _PREFIX + box.id, exchange.session.protocol)
                    await exchange.reply.notify(message)
                responses = await asyncio.gather(*(_taken(box, open_ids) for box in put.values()))
        except LongshoreError as err:
            await _withdraw(exchange, open_ids, err.reason)
            raise
    found = {
        key: input_required.input_response(question, response)
        for (key, question), response in zip(asked.requests.items(), responses, strict=True)
    }
    return found, [
        _PREFIX + put[key].id for key, question in asked.requests.items()
        if question.is_url and input_required.is_accepted(found[key])
    ]


async def check_session(exchange: Exchange) -> None:
    """Raise SessionGone when the call's session has ended since it was made."""
    if not await exchange.request.app[SESSIONS].is_live(exchange.caller.session_id):
        raise _gone()


def _gone() -> SessionGone:
    return SessionGone(
        "this session has ended while its client was asked what the server needs; start a new session with initialize"
    )


async def _taken(box: Mailbox, open_ids: set[str]) -> bytes:
    response = await box.receive()
    open_ids.discard(_PREFIX + box.id)
    return response


async def _withdraw(exchange: Exchange, open_ids: set[str], reason: str) -> None:
    with suppress(ConnectionError):      # it has left: there is nobody to tell
        for message_id in open_ids:
            await exchange.reply.notify(input_required.cancelled(message_id, reason))


async def deliver(exchange: Exchange) -> None:
    """Hand a response of the client's to the call that waits for it. One that nobody asked for goes nowhere."""
    message_id = exchange.envelope.id
    if not isinstance(message_id, str) or not message_id.startswith(_PREFIX):
        return
    if is_id(box_id := message_id.removeprefix(_PREFIX)):
        await exchange.request.app[MAILBOXES].deliver(exchange.caller.session_id, box_id, exchange.body)
