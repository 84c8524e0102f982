"""Private attributes of aiohttp that `gateway/http/server/aiohttp_internals.py` uses, and what breaks without each."""

import ast
import asyncio
import inspect
from importlib.metadata import version
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from longshore.gateway.http.server import aiohttp_internals
from longshore.gateway.http.server.aiohttp_internals import HookedRunner, count_answered, has_requested

_GATEWAY = Path(__file__).parents[2] / "gateway"
_ADAPTER = _GATEWAY / "http" / "server" / "aiohttp_internals.py"


async def _no_handler(_request: web.BaseRequest) -> web.StreamResponse:
    raise AssertionError


def test_the_adapter_was_checked_with_this_version() -> None:
    """With another version: run the tests of early rejection and of slow clients, then move this and the bound."""
    assert version("aiohttp").startswith("3.14.")


def test_the_runner_makes_its_server_in_one_method() -> None:
    """Else `HookedRunner` is never asked, and neither early rejection nor the answers to malformed HTTP work."""
    assert inspect.iscoroutinefunction(web.AppRunner._make_server)


async def test_a_server_keeps_the_settings_of_its_connections() -> None:
    """Else `_HookedServer` loses the timeouts and limits of the runner."""
    server = web.Server(_no_handler, keepalive_timeout=7.5)

    assert server._kwargs == {"keepalive_timeout": 7.5}
    assert server().keepalive_timeout == 7.5


async def test_a_connection_parses_by_an_attribute_that_can_be_replaced() -> None:
    """Else nothing stands between the parser and the handlers: early rejection never happens."""
    parser = web.Server(_no_handler)()._parser

    assert parser is not None
    for name in ("feed_data", "feed_eof", "set_upgraded", "message_consumed", "pause_reading"):
        assert callable(getattr(parser, name)), name


@pytest.mark.parametrize(
    ("name", "kind", "effect"),
    [
        ("_waiter", (asyncio.Future, type(None)), "answers could overtake those of requests in progress"),
        ("_request_count", (int,), "silent connections are not found, or all are closed"),
        ("_next_keepalive_close_time", (float,), "keep-alive ends in a flood of rejected requests"),
    ],
)
async def test_a_connection_has_the_attribute(name: str, kind: tuple[type, ...], effect: str) -> None:
    connection = web.Server(_no_handler)()

    assert name in RequestHandler.__slots__, effect
    assert isinstance(getattr(connection, name), kind), effect


async def test_requests_that_are_answered_early_count() -> None:
    server = web.Server(_no_handler, keepalive_timeout=30.0)
    connection = server()
    before_s = asyncio.get_running_loop().time()

    assert not has_requested(connection)
    count_answered(connection, server, 3)

    assert has_requested(connection)
    assert server.requests_count == 3
    assert connection._next_keepalive_close_time >= before_s + 30.0


async def test_the_hook_sees_each_connection_and_its_parser_is_used() -> None:
    seen: list[object] = []

    class Parser:
        def feed_data(self, data: bytes) -> tuple[list[object], bool, bytes]:
            seen.append(data)
            return [], False, b""

    class Runner(HookedRunner):
        def parser_hook(self) -> aiohttp_internals.ParserHook:
            return lambda connection, parser, server: Parser()

    runner = Runner(web.Application())
    await runner.setup()
    try:
        assert runner.server is not None
        runner.server().data_received(b"GET / HTTP/1.1\r\n")
    finally:
        await runner.cleanup()

    assert seen == [b"GET / HTTP/1.1\r\n"]


def test_no_other_module_uses_private_attributes_of_objects_of_others() -> None:
    found = [
        f"{path.relative_to(_GATEWAY)}:{node.lineno} {node.attr}"
        for path in sorted(_GATEWAY.rglob("*.py")) if path != _ADAPTER
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]

    assert found == []
