"""Modern client, legacy server: converts requests to the legacy form and responses back. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc, modern, result_fields, tool_lists, url_required
from longshore.gateway.wire.envelope import MessageId
from longshore.gateway.wire.protocol_errors import InvalidParams, MissingCapability
from longshore.shared.errors import NotFound

# Methods that modern clients do not have, or that cannot be converted.
LEGACY_ONLY_METHODS = frozenset({
    "initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
    "tasks/get", "tasks/result", "tasks/list", "tasks/cancel",
})
_HOP_META = (
    modern.PROTOCOL_KEY, modern.CAPABILITIES_KEY, modern.CLIENT_INFO_KEY, modern.LOG_LEVEL_KEY, modern.WORKSPACE_KEY,
)


@dataclass(frozen=True, slots=True)
class TranslationContext:
    """Facts that the conversion of a response needs."""

    server_info: bytes = b""     # the server's `serverInfo` as JSON
    accepts_urls: bool = False   # the client accepts elicitation in URL mode


NO_CONTEXT = TranslationContext()


class SideMessage(Enum):
    """Treatment of a message that the server sends before its response."""

    FORWARD = "forward"
    DROP = "drop"
    REQUEST = "request"          # a server request, which needs a response

class _Log(msgspec.Struct):
    level: Any = None


class _Message(msgspec.Struct):
    method: Any = None
    id: Any = msgspec.UNSET
    params: _Log | None = None


_message = msgspec.json.Decoder(_Message)


def request(body: bytes, message_id: MessageId) -> bytes:
    """Convert a modern request: another id, unique in the upstream session, and no modern `_meta` keys."""
    message = jsonrpc.open_object(body)
    params = jsonrpc.open_object(message["params"])
    meta = jsonrpc.open_object(params["_meta"])
    for key in _HOP_META:
        meta.pop(key, None)
    if meta:
        params["_meta"] = jsonrpc.raw(meta)
    else:
        del params["_meta"]
    message |= {"id": jsonrpc.raw(message_id), "params": jsonrpc.raw(params)}
    return jsonrpc.close_object(message)


def log_level(body: bytes) -> str:
    """Return the log level that a modern request sets, "" for none. Raises InvalidParams for an unknown level."""
    level = jsonrpc.open_object(jsonrpc.open_object(jsonrpc.open_object(body)["params"])["_meta"]).get(
        modern.LOG_LEVEL_KEY, msgspec.Raw(b'""')
    )
    named = level and msgspec.json.decode(level)
    if named == "" or named in modern.LOG_LEVELS:
        return str(named)
    raise InvalidParams(f"{modern.LOG_LEVEL_KEY} must be one of {', '.join(modern.LOG_LEVELS)}")


def covers_level(level: str, required: str) -> bool:
    """True if a session with this log level, "" for none, emits all messages of the required level."""
    return level != "" and modern.LOG_LEVELS.index(level) <= modern.LOG_LEVELS.index(required)


def response(data: bytes, message_id: MessageId, method: str, context: TranslationContext = NO_CONTEXT) -> bytes:
    """Convert a legacy server's response into a modern one with this id.

    The error -32042 becomes an `input_required` result with elicitation in URL mode. Raises MissingCapability if the
    client does not accept that.
    """
    message = jsonrpc.open_object(data)
    message["id"] = jsonrpc.raw(message_id)
    if "result" in message:
        result = jsonrpc.open_object(message["result"])
        if method == "tools/list":
            result = tool_lists.without_broken_keys(result)
        message["result"] = jsonrpc.raw(result_fields.to_modern(result, method, context.server_info))
    elif "error" in message:
        if method in modern.INPUT_METHODS and (required := url_required.input_required(message["error"])) is not None:
            if not context.accepts_urls:
                raise MissingCapability({"elicitation": {"url": {}}})
            del message["error"]
            return jsonrpc.close_object(message | {"result": jsonrpc.raw(required)})
        error = jsonrpc.open_object(message["error"])
        code = msgspec.json.decode(error.get("code", msgspec.Raw(b"null")))
        if code == NotFound.code:
            error["code"] = jsonrpc.raw(InvalidParams.code)
        elif code == url_required.CODE:
            error["code"] = jsonrpc.raw(-32603)
        message["error"] = jsonrpc.raw(error)
    return jsonrpc.close_object(message)


def side_message(data: bytes, level: str) -> SideMessage:
    """Classify a message that the server sends before its response. `level` is the log level that the client set, ""
    for none."""
    try:
        message = _message.decode(data)
    except msgspec.DecodeError:
        return SideMessage.DROP
    if message.method is None:
        return SideMessage.DROP                        # a response to another request
    if message.id is not msgspec.UNSET:
        return SideMessage.REQUEST
    if message.method == "notifications/message":
        levels, found = modern.LOG_LEVELS, message.params.level if message.params is not None else None
        is_enabled = level and found in levels and levels.index(found) >= levels.index(level)
        return SideMessage.FORWARD if is_enabled else SideMessage.DROP
    return SideMessage.FORWARD if message.method == "notifications/progress" else SideMessage.DROP
