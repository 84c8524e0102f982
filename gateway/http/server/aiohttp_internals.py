"""Private attributes of aiohttp 3.14: every use of one is in this module.

aiohttp has no public hook between the parser of a connection and its handlers, and counts the requests of a connection
only in private. pyproject.toml bounds its version; `tests/unit/test_aiohttp_internals.py` names what another breaks.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser
from aiohttp.web_protocol import RequestHandler

ParserHook = Callable[[RequestHandler, HttpRequestParser, web.Server], object]    # returns a parser


class HookedRunner(web.AppRunner):
    """Application runner with a connection class of its own, and with a hook that may replace a connection's parser."""

    connection_class: type[RequestHandler] = RequestHandler

    def parser_hook(self) -> ParserHook | None:
        """Return the hook, once the application has started; None leaves the parsers as they are."""
        return None

    async def _make_server(self) -> web.Server:
        return _HookedServer(await super()._make_server(), self.connection_class, self.parser_hook())


class _HookedServer(web.Server):
    """Server with the handler and the settings of another one, whose connections have the hook."""

    def __init__(
        self, original: web.Server, connection_class: type[RequestHandler], hook: ParserHook | None
    ) -> None:
        self._running_loop = asyncio.get_running_loop()
        super().__init__(
            original.request_handler, request_factory=original.request_factory,
            handler_cancellation=original.handler_cancellation, loop=self._running_loop, **original._kwargs,
        )
        self._connection_class = connection_class
        self._hook = hook

    def __call__(self) -> RequestHandler:
        connection = self._connection_class(self, loop=self._running_loop, **self._kwargs)
        if self._hook is not None:
            parser = cast(HttpRequestParser, connection._parser)
            connection._parser = cast(HttpRequestParser, self._hook(connection, parser, self))
        return connection


def has_requested(connection: RequestHandler) -> bool:
    """Return True once the connection has received the head of a request."""
    return connection._request_count > 0


def is_between_requests(connection: RequestHandler) -> bool:
    """Return True while the connection waits for a request: none is being handled, and none is queued."""
    waiter = connection._waiter
    return waiter is not None and not waiter.done()


def count_answered(connection: RequestHandler, server: web.Server, requests: int) -> None:
    """Count requests that were answered before aiohttp saw them, and restart the connection's keep-alive timeout."""
    connection._request_count += requests
    server.requests_count += requests
    connection._next_keepalive_close_time = asyncio.get_running_loop().time() + connection.keepalive_timeout
