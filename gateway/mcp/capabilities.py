"""Capabilities of upstreams, stored with the session as flags, and what longshore adds to them. Pure.

A capability is added exactly when a feature of longshore needs it. All others are as the upstream gave them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from longshore.gateway.files.adapters import Adapters
from longshore.gateway.wire import changes, jsonrpc

TOOLS = "t"
RESOURCES = "r"
SESSIONS = "u"               # it gave an `Mcp-Session-Id`
MODERN = "m"                 # it is modern alone: the gateway keeps the session
FILES = "f"                  # its client fetches files that it is told of (SEP-2631)
SUBSCRIBE = "S"              # it tells when a resource is updated that was subscribed to
# Of which lists it tells that they have changed.
TELLS = {changes.TOOLS: "T", changes.PROMPTS: "P", changes.RESOURCES: "R"}
UNKNOWN = "?"                # the session was restored from its files: the upstream was not asked yet


class _Result(msgspec.Struct):
    protocol: str = msgspec.field(name="protocolVersion")
    capabilities: dict[str, msgspec.Raw] = {}
    server_info: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="serverInfo")


class _Response(msgspec.Struct):
    result: _Result


_decoder = msgspec.json.Decoder(_Response)


class Negotiated(msgspec.Struct, frozen=True):
    """Outcome of `initialize`: the revision and the upstream's capabilities."""

    protocol: str
    flags: str               # what the upstream itself has: TOOLS, RESOURCES, SUBSCRIBE, those of TELLS
    server_info: bytes = b""  # what it says of itself, a JSON object, or b""


def negotiated(response: bytes) -> Negotiated | None:
    """Read the outcome of an `initialize` response; None when it is an error or malformed (then there is no session).
    """
    try:
        result = _decoder.decode(response).result
    except jsonrpc.UNREADABLE:
        return None
    info = bytes(result.server_info)
    return Negotiated(result.protocol, _flags(result.capabilities), info if info[:1] == b"{" else b"")


def flags_of(response: bytes) -> str:
    """Read the upstream's capabilities from the result; "" for an error."""
    result = jsonrpc.open_object(jsonrpc.open_object(response).get("result", msgspec.Raw(b"{}")))
    found = jsonrpc.open_object(result.get("capabilities", msgspec.Raw(b"{}")))
    return _flags(found)


def _flags(found: jsonrpc.RawMap) -> str:
    flags = [flag for flag, name in ((TOOLS, "tools"), (RESOURCES, "resources")) if name in found]
    for name, method in (("tools", changes.TOOLS), ("prompts", changes.PROMPTS), ("resources", changes.RESOURCES)):
        told = _told(found.get(name, _NONE))
        flags += [TELLS[method]] if told.lists is True else []
        flags += [SUBSCRIBE] if name == "resources" and told.subscribe is True else []
    return "".join(flags)


class _Told(msgspec.Struct):
    lists: Any = msgspec.field(default=False, name="listChanged")
    subscribe: Any = False


_told_decoder = msgspec.json.Decoder(_Told)


def _told(capability: msgspec.Raw) -> _Told:
    try:
        return _told_decoder.decode(capability)
    except jsonrpc.UNREADABLE:
        return _Told()


def with_ours(response: bytes, adapters: Adapters, flags: str, more: Mapping[str, Any]) -> bytes:
    """Add the capabilities that longshore's features need, and `more`, to the response. Capabilities in `more` replace
    the upstream's. The same bytes come back when nothing is missing.
    """
    wants_tools = TOOLS not in flags and adapters.accepts_uploads
    wants_resources = RESOURCES not in flags and (adapters.accepts_uploads or adapters.exposes_artifacts)
    if not (wants_tools or wants_resources or adapters.exposes_artifacts or more):
        return response
    message = jsonrpc.open_object(response)
    if "result" not in message:
        return response
    result = jsonrpc.open_object(message["result"])
    capabilities = jsonrpc.open_object(result.get("capabilities", _NONE))
    if wants_tools:
        capabilities["tools"] = _NONE
    if wants_resources:
        capabilities["resources"] = _NONE
    if adapters.exposes_artifacts:   # they come and go
        told = jsonrpc.open_object(capabilities["resources"]) | {"listChanged": msgspec.Raw(b"true")}
        capabilities["resources"] = jsonrpc.raw(told)
    capabilities |= {name: jsonrpc.raw(value) for name, value in more.items()}
    result["capabilities"] = jsonrpc.raw(capabilities)
    message["result"] = jsonrpc.raw(result)
    return jsonrpc.close_object(message)


_NONE = msgspec.Raw(b"{}")
