"""`Mcp-Param-*` headers of tool calls: checked against the arguments, and built anew where longshore changed these.

MCP 2026-07-28 basic/transports/streamable-http §Custom Headers from Tool Parameters. The server's last tool list says
which arguments a tool wants mirrored. Before a call is refused for it, the list is fetched again: it may have changed.
"""

from contextlib import suppress
from typing import Any

import msgspec

from longshore.gateway.mcp.exchange import Exchange, upstream_headers
from longshore.gateway.upstream.client import UpstreamResponse
from longshore.gateway.upstream.headers import own_request_headers
from longshore.gateway.wire import jsonrpc, modern, param_headers, tool_lists
from longshore.gateway.wire.param_headers import MirroredArgument
from longshore.gateway.wire.protocol_errors import HeaderMismatch, InvalidParams, ToolInputError
from longshore.gateway.wire.tool_lists import Tool
from longshore.shared.errors import LongshoreError

_REFUSAL_S = 10.0            # for the body of one, whose head is here
# What servers take of a header, and room for the others.
_MOST_BYTES = 7_000


class _Call(msgspec.Struct):
    arguments: dict[str, Any] | None = None


class _Request(msgspec.Struct):
    params: _Call


class _Error(msgspec.Struct):
    code: int


class _Refusal(msgspec.Struct):
    error: _Error


_calls = msgspec.json.Decoder(_Request)
_refusals = msgspec.json.Decoder(_Refusal)


async def check(exchange: Exchange) -> None:
    """Raise HeaderMismatch where a modern client's headers do not mirror its arguments."""
    try:
        check_known(exchange)
    except HeaderMismatch:
        await refresh(exchange)
        check_known(exchange)


def check_known(exchange: Exchange) -> None:
    """Raise HeaderMismatch by what is known of the tool. A modern upstream checks what is not known here."""
    if wanted := _wanted(exchange):
        param_headers.check(wanted, _arguments_of(exchange.body), exchange.request.headers)


def learn(exchange: Exchange, result: bytes) -> None:
    """Remember which arguments the tools on a page of the upstream's list want mirrored."""
    exchange.mount.monitor.headers.learn(tool_lists.parse_page(result), _whose(exchange))


def build(exchange: Exchange, body: bytes) -> dict[str, str]:
    """Build the headers that the tool wants for the call `body`. Raises ToolInputError for an argument that fits in
    none.
    """
    wanted = _wanted(exchange)
    headers = param_headers.headers_of(wanted, _arguments_of(body)) if wanted else {}
    for one in wanted:
        if len(headers.get(one.header, "")) > _MOST_BYTES:
            raise ToolInputError(
                f"the argument {'.'.join(one.path)} is too long: the server wants it in a header, which holds up to "
                f"{_MOST_BYTES} bytes"
            )
    return headers


def rebuild(exchange: Exchange, body: bytes, headers: dict[str, str]) -> dict[str, str]:
    """Build `headers` anew for the call `body`, whose arguments are no longer the client's."""
    if not (wanted := _wanted(exchange)):
        return headers
    names = {one.header.lower() for one in wanted}
    kept = {name: value for name, value in headers.items() if name.lower() not in names}
    return kept | build(exchange, body)


async def is_mismatch(exchange: Exchange, answer: UpstreamResponse) -> bool:
    """True where `answer` refuses the call for its headers."""
    if answer.status != 400 or exchange.envelope.method != "tools/call":
        return False
    return _is_mismatch(await answer.peek_body(_REFUSAL_S))


def _wanted(exchange: Exchange) -> list[MirroredArgument]:
    return exchange.mount.monitor.headers.of(exchange.envelope.name, _whose(exchange))


def _whose(exchange: Exchange) -> str:
    mount = exchange.mount
    return exchange.caller.session_id if mount.headers.passthrough or mount.server.pass_client_token else ""


async def refresh(exchange: Exchange) -> None:
    """List the upstream's tools again. What was known stays where the upstream does not answer."""
    mount = exchange.mount
    headers = own_request_headers(upstream_headers(exchange.request, mount, ""))

    async def listed() -> list[Tool]:
        return (await exchange.route.list_tools(exchange, headers)).tools

    with suppress(LongshoreError):
        await mount.monitor.headers.refresh(listed, _whose(exchange))


def _arguments_of(body: bytes) -> dict[str, Any]:
    try:
        return _calls.decode(body).params.arguments or {}
    except jsonrpc.UNREADABLE:
        raise InvalidParams("the arguments of a tool call must be an object") from None


def _is_mismatch(body: bytes) -> bool:
    try:
        return _refusals.decode(body).error.code == modern.HEADER_MISMATCH
    except jsonrpc.UNREADABLE:
        return False
