"""JSON-RPC calls that the gateway itself makes to an upstream: request, notification, DELETE of a session."""

import asyncio
from typing import Any

import msgspec
import structlog

from longshore.gateway.upstream.client import UpstreamClient, UpstreamResponse
from longshore.gateway.wire import jsonrpc, sse
from longshore.shared.errors import LongshoreError, UpstreamDown

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode
_MAX_EVENT_BYTES = 16 * 1024 * 1024
_NOTIFY_TIMEOUT_S = 10.0


class CredentialsRequired(UpstreamDown):
    """The upstream requires credentials, which a caller may have."""


class Rejected(UpstreamDown):
    """The upstream refused the request before running it, as a server of the other era does."""


async def request(
    client: UpstreamClient, headers: dict[str, str], method: str, params: dict[str, Any]
) -> tuple[jsonrpc.RawMap, str]:
    """Send one request. Returns the response object and the session id of the HTTP response.

    Raises UpstreamDown without a response to this request.
    """
    data, session_id = await request_raw(client, headers, method, params)
    return jsonrpc.open_object(data), session_id


async def request_raw(
    client: UpstreamClient, headers: dict[str, str], method: str, params: dict[str, Any] | msgspec.Raw
) -> tuple[bytes, str]:
    """Send one request. Returns the response as bytes and the session id of the HTTP response."""
    request_id = f"longshore-{method}"
    body = _encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
    async with client.exchange("POST", headers, body) as answer:
        if answer.status in (401, 403):
            raise CredentialsRequired(f"the upstream server answered {method} with HTTP status {answer.status}")
        if answer.status != 200:
            kind = Rejected if answer.status in (400, 404, 405) else UpstreamDown
            raise kind(f"the upstream server answered {method} with HTTP status {answer.status}")
        return await read_response(answer, request_id), answer.session_id


async def notify(
    client: UpstreamClient, headers: dict[str, str], method: str, params: dict[str, Any] | None = None
) -> None:
    """Send one notification and ignore the HTTP status. Raises UpstreamDown or UpstreamTimeout."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    async with client.exchange("POST", headers, _encode(message), timeout_s=_NOTIFY_TIMEOUT_S) as answer:
        await answer.read()


async def end_session(client: UpstreamClient, headers: dict[str, str]) -> None:
    """Send DELETE for an upstream session, best effort: a server may not support it (405)."""
    try:
        async with asyncio.timeout(_NOTIFY_TIMEOUT_S), client.exchange("DELETE", headers) as answer:
            await answer.read()
    except (LongshoreError, TimeoutError):
        log.info("upstream_session_not_ended")


async def read_response(answer: UpstreamResponse, request_id: str, max_bytes: int = _MAX_EVENT_BYTES) -> bytes:
    """Read the response to the request of this id, from a JSON body or a stream; other messages are skipped.

    Raises UpstreamDown without a response, or if one is larger than `max_bytes`.
    """
    if not answer.is_stream:
        return await answer.read(max_bytes)
    parser = sse.Parser(max_bytes)
    async for chunk in answer.chunks():
        for event in parser.feed(chunk):
            if jsonrpc.is_response_to(event.data, request_id):
                return event.data
    raise UpstreamDown("the upstream server ended its stream without an answer")
