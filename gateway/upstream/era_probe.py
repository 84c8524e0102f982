"""Which era of the protocol an upstream speaks: asked once with `server/discover`, and again after doubt.

MCP 2026-07-28 basic/versioning §Compatibility: an answer of the stateless revision's own says that it speaks it,
any other refusal that it begins with `initialize`.
"""

from typing import Any, Literal

import msgspec

from longshore.gateway.upstream.client import UpstreamClient, UpstreamResponse
from longshore.gateway.upstream.rpc import CredentialsRequired
from longshore.gateway.wire import modern, sse
from longshore.shared.errors import InvalidParams, UpstreamDown

Era = Literal["modern", "legacy"]

_TIMEOUT_S = 10.0
_MAX_BYTES = 1024 * 1024
_ID = "longshore-era"
_BODY = msgspec.json.encode({
    "jsonrpc": "2.0", "id": _ID, "method": "server/discover",
    "params": {"_meta": {
        modern.PROTOCOL_KEY: modern.VERSION, modern.CAPABILITIES_KEY: {},
        modern.CLIENT_INFO_KEY: {"name": "longshore", "version": "1"},
    }},
})
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
    """The upstream answers, but not what it was asked."""


async def probe_era(client: UpstreamClient, headers: dict[str, str]) -> Era:
    """The era of the upstream, found out. `headers` are a caller's that may travel.

    Raises NotTold, WantsCredentials, and UpstreamDown or UpstreamTimeout where there is no answer.
    """
    asked = {**headers, **modern.request_headers("server/discover"), "Accept": "application/json, text/event-stream"}
    async with client.exchange("POST", asked, _BODY, timeout_s=_TIMEOUT_S) as answer:
        if answer.status in (401, 403):
            raise CredentialsRequired(f"the upstream server answered server/discover with HTTP status {answer.status}")
        if answer.status == 429 or answer.status >= 500:
            raise EraUnknown(f"the upstream server answered server/discover with HTTP status {answer.status}")
        return era_from_response(answer.status, await _message_of(answer))


def contradicts_modern(status: int, message: bytes) -> bool:
    """Whether a server that was taken for one of the stateless revision answers as one of the session era does."""
    try:
        found = _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
    code = found.error.code if found.error is not None else None
    return code != InvalidParams.code and era_from_response(status, message) == "legacy"


def era_from_response(status: int, message: bytes) -> Era:
    """What the answer to `server/discover` says."""
    try:
        found = _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "legacy"
    if found.result is not None:
        return "modern" if modern.VERSION in found.result.versions else "legacy"
    code = found.error.code if found.error is not None else None
    return "modern" if code in _MODERN_ERRORS or (status == 404 and code == -32601) else "legacy"


async def _message_of(answer: UpstreamResponse) -> bytes:
    if not answer.is_stream:
        return await answer.read(_MAX_BYTES)
    parser = sse.Parser(_MAX_BYTES)
    async for chunk in answer.chunks():
        for event in parser.feed(chunk):
            if event.data:
                return event.data
    return b""
