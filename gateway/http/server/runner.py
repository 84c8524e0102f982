"""Runner of the public port: aiohttp's, with early rejection between the parser and the handlers."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE, RequestHandler

from longshore.gateway.appkeys import CONFIG, TASKS
from longshore.gateway.http.server.aiohttp_internals import (
    HookedRunner,
    ParserHook,
    count_answered,
    is_between_requests,
)
from longshore.gateway.http.server.early_rejection import EarlyRejection
from longshore.gateway.http.server.malformed import Connection

_Messages = Sequence[tuple[RawRequestMessage, StreamReader]]
_MAX_BODY_BYTES = 16_384    # a larger body is left to aiohttp; unread, this much never pauses the connection


class PublicRunner(HookedRunner):
    """Runner of the application; while auth is on, requests that are certain to be rejected never reach it."""

    connection_class = Connection

    def parser_hook(self) -> ParserHook | None:
        """Return the hook for early rejection; None while auth is off."""
        if not self.app[CONFIG].core.auth.enabled:
            return None
        rejection = EarlyRejection(self.app)
        self.app[TASKS].spawn(rejection.log_rejections(), name="log_rejections")
        return partial(RejectingParser, rejection)


class RejectingParser:
    """Parser of one connection, as far as aiohttp uses it, that answers early rejections itself."""

    def __init__(
        self, rejection: EarlyRejection, connection: RequestHandler, parser: HttpRequestParser, server: web.Server
    ) -> None:
        self._rejection, self._connection, self._parser, self._server = rejection, connection, parser, server
        self.set_upgraded = parser.set_upgraded
        self.message_consumed = parser.message_consumed
        self.feed_eof = parser.feed_eof
        self.pause_reading = parser.pause_reading

    def feed_data(self, data: bytes) -> tuple[_Messages, bool, bytes]:
        """Parse received data, and return it without the requests at its beginning that are answered already."""
        messages, upgraded, tail = self._parser.feed_data(data)
        answers: list[bytes] = []
        try:
            while messages and self._is_idle() and (rejected := self._reject(messages, answers)):
                messages = messages[rejected:]
                if rejected == MAX_MSG_QUEUE_SIZE:    # then the parser holds back what came behind them
                    messages, upgraded, tail = self._parser.feed_data(b"")
        finally:
            if answers:
                self._send(answers)
        return messages, upgraded, tail

    def _is_idle(self) -> bool:
        """Return True while no request is being answered and the client has read every answer: answers keep their
        order, and those that a client does not read never pile up."""
        transport = self._connection.transport
        return (
            is_between_requests(self._connection)
            and transport is not None and not transport.is_closing() and transport.get_write_buffer_size() == 0
        )

    def _reject(self, messages: _Messages, answers: list[bytes]) -> int:
        """Append the answers to the first of `messages` to `answers`; returns the number of rejected messages."""
        peer = _address(self._connection.peername)
        before = len(answers)
        for message, body in messages:
            if not body.is_eof() or body.total_bytes > _MAX_BODY_BYTES:
                break
            answer = self._rejection.rejection(message, peer)
            if answer is None:
                break
            answers.append(answer)
            self._parser.message_consumed()
        return len(answers) - before

    def _send(self, answers: list[bytes]) -> None:
        count_answered(self._connection, self._server, len(answers))
        if self._connection.transport is not None:
            self._connection.transport.write(b"".join(answers))


def _address(peername: Any) -> str:
    """Format a peer's address as aiohttp's `remote` does."""
    return str(peername[0]) if isinstance(peername, tuple | list) else str(peername or "")
