"""A message of the session era for a server of the stateless revision, and its answer on the way back. Pure.

MCP 2026-07-28 basic §_meta and §ResultType, server/utilities/caching.
"""

from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc, modern, tool_lists
from longshore.gateway.wire.envelope import LEGACY_VERSIONS
from longshore.gateway.wire.introduction import DeclaredClient
from longshore.shared.errors import InvalidParams, NotFound, UpstreamDown

_HOP_META = (modern.PROTOCOL_KEY, modern.CAPABILITIES_KEY, modern.CLIENT_INFO_KEY, modern.LOG_LEVEL_KEY)
_MODERN_FIELDS = ("resultType", "ttlMs", "cacheScope")
_LAST = max(LEGACY_VERSIONS)
_EMPTY = msgspec.Raw(b"{}")
LEVELS = frozenset({"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"})


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
    """The revision of the session: the one that the client asked for, where it is one that has sessions."""
    try:
        asked = _inits.decode(init_params).protocol
    except msgspec.DecodeError:
        return _LAST
    return asked if isinstance(asked, str) and asked in LEGACY_VERSIONS else _LAST


def request(body: bytes, client: DeclaredClient, *, log_level: str = "", traceparent: str = "") -> bytes:
    """The request with all that a server of the stateless revision has to be told each time.

    `traceparent` names the work under way, where it is traced and the client says nothing of a trace.
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
    """The server's answer as one of the session era. Raises UpstreamDown for a kind of result that it has not."""
    message = jsonrpc.open_object(data)
    if "result" in message:
        message["result"] = jsonrpc.raw(_result(jsonrpc.open_object(message["result"]), method))
    elif "error" in message:
        message |= _error(message["error"], method)
        if "result" in message:
            del message["error"]
    return jsonrpc.close_object(message)


def initialize_result(discovered: jsonrpc.RawMap, version: str) -> dict[str, Any]:
    """The result of `initialize` for a server whose `server/discover` result this is.

    Its notices of changed lists and subscriptions come on the session's standing stream.
    """
    found = jsonrpc.open_object(discovered.get("capabilities", _EMPTY))
    meta = jsonrpc.open_object(discovered.get("_meta", _EMPTY))
    info = meta.get(modern.SERVER_INFO_KEY, discovered.get("serverInfo", jsonrpc.raw(_NAMELESS)))
    said: dict[str, Any] = {"protocolVersion": version, "capabilities": found, "serverInfo": info}
    if "instructions" in discovered:
        said["instructions"] = discovered["instructions"]
    return said


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
    """What stands in the response for an error: the same, with the code that the session era has for it."""
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
