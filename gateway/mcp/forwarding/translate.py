"""Answers of an upstream of one era on their way to a client of the other."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.subscriptions import publish
from longshore.gateway.mcp.subscriptions.publish import UpstreamContext
from longshore.gateway.wire import changes, inputs, to_legacy, to_modern
from longshore.shared.errors import LongshoreError, StoreDown, UpstreamDown

Change = Callable[[bytes], Awaitable[bytes]]
_WITHIN_S = 10.0


def translate_response(exchange: Exchange, change: Change | None) -> Change:
    """`change` for the answer once it is one of the client's era."""

    async def both(response: bytes) -> bytes:
        if exchange.is_restated:
            response = to_modern.response(response, exchange.envelope.method)
        else:
            takes_urls = exchange.stateless is not None and exchange.stateless.takes_urls
            hop = to_legacy.TranslationContext(exchange.mount.monitor.server_info, takes_urls)
            response = to_legacy.response(response, exchange.envelope.id, exchange.envelope.method, hop)
        return response if change is None else await change(response)

    return both


def on_side_message(exchange: Exchange, data: bytes) -> bool:
    """Whether a message that came before the answer goes to the client as it is. A request of the server's does not:
    it becomes a question of the call where the client takes such, else it is answered at once."""
    stateless = exchange.stateless
    if stateless is None or not stateless.is_translated:
        return True
    found = to_legacy.side_message(data, stateless.log_level)
    if found is to_legacy.SideMessage.REQUEST:
        asking = stateless.asking
        answer = asking.ask(data) if asking is not None else inputs.own_response(data, inputs.NO_INPUT)
        if answer is not None:
            exchange.spawn(_told(exchange, answer), name="refuse_request")
    elif found is to_legacy.SideMessage.DROP and changes.parse_change(data) is not None:
        exchange.spawn(_hand_on(exchange, data), name="hand_on_change")
    return found is to_legacy.SideMessage.FORWARD


async def answer_server(exchange: Exchange, answer: bytes) -> None:
    """Hand an answer to the server that waits for it. Raises UpstreamDown, UpstreamTimeout."""
    async with exchange.mount.client.exchange(
        "POST", exchange.upstream_headers(), answer, timeout_s=_WITHIN_S
    ) as taken:
        await taken.read()
        if taken.status >= 400:
            raise UpstreamDown(f"the upstream server took an answer with HTTP status {taken.status}")


async def _hand_on(exchange: Exchange, data: bytes) -> None:
    """A change that a server tells of while it answers is for those who listen."""
    with suppress(StoreDown):
        await publish.publish(UpstreamContext(exchange.request, exchange.mount, exchange.holder), data)


async def _told(exchange: Exchange, answer: bytes) -> None:
    with suppress(LongshoreError):       # the call itself will tell
        await answer_server(exchange, answer)
