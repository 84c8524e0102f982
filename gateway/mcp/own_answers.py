"""Answers that the gateway gives itself, in the era of their client."""

from typing import Any

from aiohttp import web

from gateway.mcp.exchange import Exchange
from gateway.wire import jsonrpc, result_fields


def own_result(exchange: Exchange, value: dict[str, Any]) -> web.Response:
    """The response with this result."""
    body = jsonrpc.result(exchange.envelope.id, {**head_of(exchange), **value})
    return web.Response(body=body, content_type="application/json")


def head_of(exchange: Exchange) -> dict[str, Any]:
    """The fields that the client's revision wants in a result of ours."""
    return {} if exchange.stateless is None else result_fields.head(exchange.envelope.method)
