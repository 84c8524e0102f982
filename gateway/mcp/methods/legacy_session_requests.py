"""Messages of a legacy client that a modern upstream has no use for: ping, log level, subscriptions, cancellations.

The gateway keeps the session of such a client, and answers these itself.
"""

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import PUBLISHER, SESSIONS
from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding import cancellations
from longshore.gateway.mcp.forwarding.cancellations import CANCELLATIONS
from longshore.gateway.mcp.input_requests import legacy_client
from longshore.gateway.mcp.methods import subscribe
from longshore.gateway.request_context import SESSION_HEADER
from longshore.gateway.wire import jsonrpc, modern
from longshore.gateway.wire.envelope import Kind
from longshore.gateway.wire.protocol_errors import InvalidParams, MethodNotFound

_WATCHING = frozenset({"resources/subscribe", "resources/unsubscribe"})


class _Level(msgspec.Struct):
    level: str


class _LevelRequest(msgspec.Struct):
    params: _Level


class _Cancel(msgspec.Struct):
    request_id: str | int = msgspec.field(name="requestId")


class _CancelNotification(msgspec.Struct):
    params: _Cancel


_cancels = msgspec.json.Decoder(_CancelNotification)
_levels = msgspec.json.Decoder(_LevelRequest)


async def answer_locally(exchange: Exchange) -> web.StreamResponse | None:
    """Answer a message that the upstream has no use for. Return None for one that is forwarded."""
    message = exchange.envelope
    if message.kind is not Kind.REQUEST:
        if message.method == "notifications/cancelled" and (asked := _cancelled(exchange.body)) is not None:
            await _cancel(exchange, asked)
        elif message.kind is Kind.RESPONSE:
            await legacy_client.deliver_response(exchange)
        return web.Response(status=202)
    if message.method == "ping":
        return await exchange.answer({})
    if message.method == "logging/setLevel":
        await exchange.request.app[SESSIONS].set_log_level(exchange.caller.session_id, _level_of(exchange.body))
        return await exchange.answer({})
    if message.method in _WATCHING and capabilities.SUBSCRIBE in exchange.session.flags:
        return await subscribe.watch(exchange)
    if message.method in _WATCHING or message.method.startswith("tasks/"):
        # An answer, not an HTTP error: to a client with a session, 404 says that the session is gone.
        err = MethodNotFound(f"this server has no method {message.method} for clients with a session")
        return await exchange.reply.finish(jsonrpc.error(message.id, err))
    return None


async def _cancel(exchange: Exchange, asked: str | int) -> None:
    """End the call, at whichever gateway it runs or is about to run.

    Clients that send no session id may have calls of the same id in their one scope: for them, only a call of this
    gateway ends.
    """
    app, session_id = exchange.request.app, exchange.caller.session_id
    if not app[CANCELLATIONS].cancel(session_id, asked) and SESSION_HEADER in exchange.request.headers:
        await app[PUBLISHER].publish(cancellations.word_of(session_id, asked))


def _cancelled(body: bytes) -> str | int | None:
    """Read the id of the request that the client cancels; None where it names none."""
    try:
        return _cancels.decode(body).params.request_id
    except msgspec.DecodeError:
        return None


def _level_of(body: bytes) -> str:
    try:
        level = _levels.decode(body).params.level
    except msgspec.DecodeError:
        level = ""
    if level not in modern.LOG_LEVELS:
        raise InvalidParams(f"a log level is one of {', '.join(modern.LOG_LEVELS)}")
    return level
