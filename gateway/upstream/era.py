"""Which era of the protocol an upstream speaks: asked once with `server/discover`, and again after doubt.

MCP 2026-07-28 basic/versioning §Compatibility: an answer of the stateless revision's own says that it speaks it,
any other refusal that it begins with `initialize`.
"""

from typing import Any, Literal

import msgspec

from gateway.upstream.client import UpstreamAnswer, UpstreamClient
from gateway.upstream.probe import Monitor
from gateway.wire import modern, sse
from shared.clock import monotonic_s
from shared.errors import UpstreamDown

Era = Literal["modern", "legacy"]

_WITHIN_S = 10.0
_KEPT_S = 60.0               # then it may have been replaced by a server of the other era
_MAX_BYTES = 1024 * 1024
_ID = "longshore-era"
_BODY = msgspec.json.encode({
    "jsonrpc": "2.0", "id": _ID, "method": "server/discover",
    "params": {"_meta": {
        modern.PROTOCOL_KEY: modern.VERSION, modern.CAPABILITIES_KEY: {},
        modern.CLIENT_INFO_KEY: {"name": "longshore", "version": "1"},
    }},
})
_ITS_OWN = frozenset({modern.HEADER_MISMATCH, modern.MISSING_CAPABILITY, modern.UNSUPPORTED_VERSION})


class _Result(msgspec.Struct):
    versions: list[str] = msgspec.field(default_factory=list, name="supportedVersions")


class _Error(msgspec.Struct):
    code: Any = None


class _Message(msgspec.Struct):
    result: _Result | None = None
    error: _Error | None = None


_decoder = msgspec.json.Decoder(_Message)


async def era_of(monitor: Monitor, client: UpstreamClient, headers: dict[str, str]) -> Era:
    """The era of the upstream, found out. `headers` are a caller's that may travel.

    Raises UpstreamDown when it cannot be told.
    """
    asked = {**headers, **modern.headers_of("server/discover"), "Accept": "application/json, text/event-stream"}
    async with client.exchange("POST", asked, _BODY, within_s=_WITHIN_S) as answer:
        if answer.status in (401, 403, 429) or answer.status >= 500:
            raise UpstreamDown(f"the upstream server answered server/discover with HTTP status {answer.status}")
        era = verdict(answer.status, await _message_of(answer))
    monitor.era, monitor.era_until_s = era, monotonic_s() + _KEPT_S
    return era


def known_era(monitor: Monitor) -> Era | None:
    """The era of the upstream where it was found out lately."""
    return monitor.era if monotonic_s() < monitor.era_until_s else None


def verdict(status: int, message: bytes) -> Era:
    """What the answer to `server/discover` says."""
    try:
        found = _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "legacy"
    if found.result is not None:
        return "modern" if modern.VERSION in found.result.versions else "legacy"
    code = found.error.code if found.error is not None else None
    return "modern" if code in _ITS_OWN or (status == 404 and code == -32601) else "legacy"


async def _message_of(answer: UpstreamAnswer) -> bytes:
    if not answer.is_stream:
        return await answer.read(_MAX_BYTES)
    parser = sse.Parser(_MAX_BYTES)
    async for chunk in answer.chunks():
        for event in parser.feed(chunk):
            if event.data:
                return event.data
    return b""
