"""Probes an upstream's era with `server/discover`.

MCP 2026-07-28 basic/versioning §Compatibility: a modern result or a modern error code means modern; any other refusal
means legacy.
"""

from typing import Any, Literal

import msgspec

from longshore.gateway.upstream.client import UpstreamClient, UpstreamResponse
from longshore.gateway.upstream.headers import ACCEPT_BOTH
from longshore.gateway.upstream.rpc import CredentialsRequired
from longshore.gateway.wire import jsonrpc, modern
from longshore.gateway.wire.protocol_errors import InvalidParams
from longshore.shared.errors import UpstreamDown

Era = Literal["modern", "legacy"]

_TIMEOUT_S = 10.0
_MAX_BYTES = 1024 * 1024
_BODY = jsonrpc.request("longshore-era", "server/discover", {"_meta": modern.OWN_META})
_MODERN_ERRORS = frozenset({modern.HEADER_MISMATCH, modern.MISSING_CAPABILITY, modern.UNSUPPORTED_VERSION})


class _Result(msgspec.Struct):
    versions: list[str] = msgspec.field(default_factory=list, name="supportedVersions")


class _Error(msgspec.Struct):
    code: Any = None


class _Message(msgspec.Struct):
    result: _Result | None = None
    error: _Error | None = None


_decoder = msgspec.json.Decoder(_Message)


class EraUnknown(UpstreamDown):
    """The upstream responds, but its response does not tell its era."""


async def probe_era(client: UpstreamClient, headers: dict[str, str]) -> Era:
    """Probe the era of the upstream with the caller's `headers`.

    Raises EraUnknown, CredentialsRequired, and UpstreamDown or UpstreamTimeout without a response.
    """
    headers = {**headers, **modern.request_headers("server/discover"), **ACCEPT_BOTH}
    async with client.exchange("POST", headers, _BODY, timeout_s=_TIMEOUT_S) as response:
        status = response.status
        if status in (401, 403):
            raise CredentialsRequired(f"the upstream server answered server/discover with HTTP status {status}")
        if status == 429 or status >= 500:
            raise EraUnknown(f"the upstream server answered server/discover with HTTP status {status}")
        return era_from_response(status, await _message_of(response))


def contradicts_modern(status: int, message: bytes) -> bool:
    """True if a response of a supposedly modern server is one that only legacy servers give."""
    found = _decode(message)
    code = found.error.code if found.error is not None else None
    return code != InvalidParams.code and era_from_response(status, message) == "legacy"


def era_from_response(status: int, message: bytes) -> Era:
    """Tell the era from HTTP status and message of the response to `server/discover`."""
    found = _decode(message)
    if found.result is not None:
        return "modern" if modern.VERSION in found.result.versions else "legacy"
    code = found.error.code if found.error is not None else None
    return "modern" if code in _MODERN_ERRORS or (status == 404 and code == -32601) else "legacy"


def _decode(message: bytes) -> _Message:
    try:
        return _decoder.decode(message)
    except jsonrpc.UNREADABLE:
        return _Message()


async def _message_of(response: UpstreamResponse) -> bytes:
    if not response.is_stream:
        return await response.read(_MAX_BYTES)
    async for event in response.events(_MAX_BYTES):
        if event.data:
            return event.data
    return b""
