"""Answers that the gateway gives itself, in the era of their client."""

from typing import Any

from aiohttp import web

from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.wire import jsonrpc, result_fields


def own_result(exchange: Exchange, value: dict[str, Any]) -> web.Response:
    """The response with this result."""
    body = jsonrpc.result(exchange.envelope.id, in_revision(exchange, value))
    return web.Response(body=body, content_type="application/json")


def in_revision(exchange: Exchange, value: dict[str, Any]) -> dict[str, Any]:
    """The result `value` of ours, with the fields that the client's revision wants in it."""
    return value if exchange.stateless is None else result_fields.own_result(exchange.envelope.method, value)
