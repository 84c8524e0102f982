"""The public side as it runs on aiohttp, with a turnstile between its parser and its handlers.

aiohttp has no hook there: its parser is wrapped, which is the one place where requests pass whole and in order.
"""

from collections.abc import Sequence
from typing import Any, cast

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE, RequestHandler

from longshore.gateway.appkeys import CONFIG, TASKS
from longshore.gateway.http.server.early_rejection import EarlyRejection
from longshore.gateway.http.server.malformed import Connection

_Messages = Sequence[tuple[RawRequestMessage, StreamReader]]
_MAX_BODY_BYTES = 16_384    # far below where an unread body stops its connection: a larger one is read to its end


class PublicRunner(web.AppRunner):
    """Serves an application; with auth on, what is certain to be refused never reaches it."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        if not self.app[CONFIG].core.auth.enabled:
            return _RejectingServer(made, None)
        turnstile = EarlyRejection(self.app)
        self.app[TASKS].spawn(turnstile.log_rejections(), name="log_refusals")
        return _RejectingServer(made, turnstile)


class _RejectingServer(web.Server):
    """Another server's twin whose connections may have the turnstile."""

    def __init__(self, twin: web.Server, turnstile: EarlyRejection | None) -> None:
        super().__init__(
            twin.request_handler, request_factory=twin.request_factory, handler_cancellation=twin.handler_cancellation,
            loop=twin._loop, **twin._kwargs,
        )
        self._early_rejection = turnstile

    def __call__(self) -> RequestHandler:
        connection = Connection(self, loop=self._loop, **self._kwargs)
        if self._early_rejection is None:
            return connection
        gate = RejectingParser(connection, cast(HttpRequestParser, connection._parser), self, self._early_rejection)
        connection._parser = cast(HttpRequestParser, gate)
        return connection


class RejectingParser:
    """A connection's parser, as far as aiohttp uses it, that keeps to itself what the turnstile refuses."""

    def __init__(
        self, connection: RequestHandler, parser: HttpRequestParser, server: _RejectingServer, turnstile: EarlyRejection
    ) -> None:
        self._connection, self._parser, self._server, self._early_rejection = connection, parser, server, turnstile
        self.set_upgraded = parser.set_upgraded
        self.message_consumed = parser.message_consumed
        self.feed_eof = parser.feed_eof
        self.pause_reading = parser.pause_reading

    def feed_data(self, data: bytes) -> tuple[_Messages, bool, bytes]:
        """What came, without the requests at its beginning that are already answered."""
        messages, upgraded, tail = self._parser.feed_data(data)
        answers: list[bytes] = []
        try:
            while messages and self._is_idle() and (taken := self._reject(messages, answers)):
                messages = messages[taken:]
                if taken == MAX_MSG_QUEUE_SIZE:    # then the parser holds what came behind them
                    messages, upgraded, tail = self._parser.feed_data(b"")
        finally:
            if answers:
                self._send(answers)
        return messages, upgraded, tail

    def _is_idle(self) -> bool:
        """Whether this connection waits for a request, and has nothing to say: answers keep their order, and
        those of a client that takes none pile up nowhere."""
        waiter, transport = self._connection._waiter, self._connection.transport
        return (
            waiter is not None and not waiter.done()
            and transport is not None and not transport.is_closing() and transport.get_write_buffer_size() == 0
        )

    def _reject(self, messages: _Messages, answers: list[bytes]) -> int:
        """Put the answers to the first of `messages` into `answers`; how many these are."""
        peer = _address(self._connection.peername)
        before = len(answers)
        for message, body in messages:
            if not body.is_eof() or body.total_bytes > _MAX_BODY_BYTES:
                break
            answer = self._early_rejection.rejection(message, peer)
            if answer is None:
                break
            answers.append(answer)
            self._parser.message_consumed()
        return len(answers) - before

    def _send(self, answers: list[bytes]) -> None:
        connection = self._connection
        connection._request_count += len(answers)
        self._server.requests_count += len(answers)
        connection._next_keepalive_close_time = connection._loop.time() + connection.keepalive_timeout
        if connection.transport is not None:
            connection.transport.write(b"".join(answers))


def _address(peername: Any) -> str:
    """As aiohttp's `remote`."""
    return str(peername[0]) if isinstance(peername, tuple | list) else str(peername or "")
