"""Answers of session-era upstreams on their way to clients of the stateless revision."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.mcp.exchange import Exchange
from gateway.wire import to_legacy
from shared.errors import LongshoreError

Change = Callable[[bytes], Awaitable[bytes]]
_WITHIN_S = 10.0


def translated(exchange: Exchange, change: Change | None) -> Change:
    """`change` for the answer once it is one of the stateless revision."""

    async def both(response: bytes) -> bytes:
        response = to_legacy.response(response, exchange.envelope.id, exchange.envelope.method)
        return response if change is None else await change(response)

    return both


def passes(exchange: Exchange, data: bytes) -> bool:
    """Whether a message that came before the answer goes to the client. A request of the server's does not: it
    is answered at once with an error, since nobody would."""
    stateless = exchange.stateless
    if stateless is None or not stateless.is_translated:
        return True
    found = to_legacy.aside(data, stateless.log_level)
    if found is to_legacy.Aside.REFUSE:
        exchange.spawn(_refuse(exchange, to_legacy.refusal(data)), name="refuse_request")
    return found is to_legacy.Aside.FORWARD


async def _refuse(exchange: Exchange, answer: bytes) -> None:
    with suppress(LongshoreError):       # the call itself will tell
        async with exchange.mounted.client.exchange(
            "POST", exchange.upstream_headers(), answer, within_s=_WITHIN_S
        ) as taken:
            await taken.read()
