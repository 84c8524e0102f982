"""JSON-RPC calls that the gateway itself makes to an upstream: request, notification, DELETE of a session."""

import asyncio
from typing import Any

import msgspec
import structlog

from longshore.gateway.upstream.client import UpstreamClient, UpstreamResponse
from longshore.gateway.wire import jsonrpc
from longshore.shared.errors import LongshoreError, UpstreamDown

log = structlog.get_logger(__name__)

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
    async with client.exchange("POST", headers, jsonrpc.request(request_id, method, params)) as response:
        if response.status in (401, 403):
            raise CredentialsRequired(f"the upstream server answered {method} with HTTP status {response.status}")
        if response.status != 200:
            kind = Rejected if response.status in (400, 404, 405) else UpstreamDown
            raise kind(f"the upstream server answered {method} with HTTP status {response.status}")
        return await read_response(response, request_id), response.session_id


async def notify(
    client: UpstreamClient, headers: dict[str, str], method: str, params: dict[str, Any] | None = None
) -> None:
    """Send one notification and ignore the HTTP status. Raises UpstreamDown or UpstreamTimeout."""
    body = jsonrpc.notification(method, params)
    async with client.exchange("POST", headers, body, timeout_s=_NOTIFY_TIMEOUT_S) as response:
        await response.read()


async def end_session(client: UpstreamClient, headers: dict[str, str]) -> None:
    """Send DELETE for an upstream session, best effort: a server may not support it (405)."""
    try:
        async with asyncio.timeout(_NOTIFY_TIMEOUT_S), client.exchange("DELETE", headers) as response:
            await response.read()
    except (LongshoreError, TimeoutError):
        log.info("upstream_session_not_ended")


async def read_response(response: UpstreamResponse, request_id: str, max_bytes: int = _MAX_EVENT_BYTES) -> bytes:
    """Read the response to the request of this id, from a JSON body or a stream; other messages are skipped.

    Raises UpstreamDown without a response, or if one is larger than `max_bytes`.
    """
    if not response.is_stream:
        return await response.read(max_bytes)
    async for event in response.events(max_bytes):
        if jsonrpc.is_response_to(event.data, request_id):
            return event.data
    raise UpstreamDown("the upstream server ended its stream without an answer")
