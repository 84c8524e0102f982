"""Legacy client, modern server: converts requests to the modern form and responses back. Pure.

MCP 2026-07-28 basic §_meta and §ResultType, server/utilities/caching.
"""

from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc, modern, tool_lists
from longshore.gateway.wire.declared_client import DeclaredClient
from longshore.gateway.wire.envelope import LEGACY_VERSIONS
from longshore.gateway.wire.protocol_errors import InvalidParams
from longshore.shared.errors import NotFound, UpstreamDown

_HOP_META = (modern.PROTOCOL_KEY, modern.CAPABILITIES_KEY, modern.CLIENT_INFO_KEY, modern.LOG_LEVEL_KEY)
_MODERN_FIELDS = ("resultType", "ttlMs", "cacheScope")
_LAST = max(LEGACY_VERSIONS)
_EMPTY = msgspec.Raw(b"{}")


class _Init(msgspec.Struct):
    protocol: Any = msgspec.field(default=None, name="protocolVersion")


class _Required(msgspec.Struct):
    capabilities: dict[str, Any] = msgspec.field(default_factory=dict, name="requiredCapabilities")


class _Error(msgspec.Struct):
    code: Any = None
    message: Any = ""
    data: msgspec.Raw = _EMPTY


_inits = msgspec.json.Decoder(_Init)
_errors = msgspec.json.Decoder(_Error)


def agreed_version(init_params: bytes) -> str:
    """Negotiate the revision of a session: the client's if it is a legacy one, else the last legacy revision."""
    try:
        requested = _inits.decode(init_params).protocol
    except msgspec.DecodeError:
        return _LAST
    return requested if isinstance(requested, str) and requested in LEGACY_VERSIONS else _LAST


def request(body: bytes, client: DeclaredClient, *, log_level: str = "", traceparent: str = "") -> bytes:
    """Convert a legacy request: adds the `_meta` keys of the modern revision.

    `traceparent` is that of the gateway's span; the client's own is kept if it sends one.
    """
    message = jsonrpc.open_object(body)
    params = jsonrpc.open_object(message.get("params", _EMPTY))
    meta = jsonrpc.open_object(params.get("_meta", _EMPTY))
    for key in _HOP_META:
        meta.pop(key, None)
    capabilities = jsonrpc.raw(client.capabilities)
    meta |= {modern.PROTOCOL_KEY: jsonrpc.raw(modern.VERSION), modern.CAPABILITIES_KEY: capabilities}
    if bytes(client.info):
        meta[modern.CLIENT_INFO_KEY] = client.info
    if log_level:
        meta[modern.LOG_LEVEL_KEY] = jsonrpc.raw(log_level)
    if traceparent:
        meta.setdefault("traceparent", jsonrpc.raw(traceparent))
    params["_meta"] = jsonrpc.raw(meta)
    message["params"] = jsonrpc.raw(params)
    return jsonrpc.close_object(message)


def response(data: bytes, method: str) -> bytes:
    """Convert a modern response. Raises UpstreamDown for a result type that the legacy revisions do not have."""
    message = jsonrpc.open_object(data)
    if "result" in message:
        message["result"] = jsonrpc.raw(_result(jsonrpc.open_object(message["result"]), method))
    elif "error" in message:
        message |= _error(message["error"], method)
        if "result" in message:
            del message["error"]
    return jsonrpc.close_object(message)


def initialize_result(discovered: jsonrpc.RawMap, version: str) -> dict[str, Any]:
    """Convert a `server/discover` result into an `initialize` result.

    Change notifications and subscriptions are delivered on the session's standing stream.
    """
    found = jsonrpc.open_object(discovered.get("capabilities", _EMPTY))
    meta = jsonrpc.open_object(discovered.get("_meta", _EMPTY))
    info = meta.get(modern.SERVER_INFO_KEY, discovered.get("serverInfo", jsonrpc.raw(_NAMELESS)))
    result: dict[str, Any] = {"protocolVersion": version, "capabilities": found, "serverInfo": info}
    if "instructions" in discovered:
        result["instructions"] = discovered["instructions"]
    return result


_NAMELESS = {"name": "unnamed", "version": "0"}


def _result(result: jsonrpc.RawMap, method: str) -> jsonrpc.RawMap:
    kind = result.get("resultType")
    if kind is not None and bytes(kind) != b'"complete"':
        raise UpstreamDown("the upstream server answered with a kind of result that this client's revision has not")
    kept = {name: value for name, value in result.items() if name not in _MODERN_FIELDS}
    if "_meta" in kept:
        meta = jsonrpc.open_object(kept["_meta"])
        if meta.pop(modern.SERVER_INFO_KEY, None) is not None:
            kept["_meta"] = jsonrpc.raw(meta)
            if not meta:
                del kept["_meta"]
    return tool_lists.without_broken_tools(kept) if method == "tools/list" else kept


def _error(data: msgspec.Raw, method: str) -> jsonrpc.RawMap:
    """Convert an error: another code, or for a tool call a result with `isError`. Empty if it stays unchanged."""
    try:
        error = _errors.decode(data)
    except msgspec.DecodeError:
        return {}
    if error.code == modern.MISSING_CAPABILITY and method == "tools/call":
        needs = f"this tool needs something that cannot be asked of the client here: {_required_capabilities(error)}"
        return {"result": jsonrpc.raw(_tool_error(needs))}
    if error.code == InvalidParams.code and method == "resources/read" and b'"uri"' in bytes(error.data):
        parts = jsonrpc.open_object(data)
        parts["code"] = jsonrpc.raw(NotFound.code)
        return {"error": jsonrpc.raw(parts)}
    return {}


def _tool_error(text: str) -> jsonrpc.RawMap:
    return {"content": jsonrpc.raw([{"type": "text", "text": text}]), "isError": msgspec.Raw(b"true")}


def _required_capabilities(error: _Error) -> str:
    try:
        named = sorted(msgspec.json.decode(error.data, type=_Required).capabilities)
    except msgspec.DecodeError:
        named = []
    return ", ".join(named) or str(error.message)
