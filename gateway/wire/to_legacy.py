"""A message of the stateless revision for a server of the session era, and its answer on the way back. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from longshore.gateway.wire import inputs, jsonrpc, modern, result_fields, tool_lists, url_required
from longshore.gateway.wire.envelope import MessageId
from longshore.shared.errors import InvalidParams, MissingCapability, NotFound

# Of the session era alone, or of this revision alone: a server of the other knows nothing of it.
LEGACY_ONLY_METHODS = frozenset({
    "initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
    "tasks/get", "tasks/result", "tasks/list", "tasks/cancel",
})
_HOP_META = (
    modern.PROTOCOL_KEY, modern.CAPABILITIES_KEY, modern.CLIENT_INFO_KEY, modern.LOG_LEVEL_KEY, modern.WORKSPACE_KEY,
)
_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


@dataclass(frozen=True, slots=True)
class TranslationContext:
    """What an answer is translated with."""

    server_info: bytes = b""     # JSON, what the server said of itself
    accepts_urls: bool = False     # the client opens pages


NO_CONTEXT = TranslationContext()


class SideMessage(Enum):
    """What to do with a message that is not the answer."""

    FORWARD = "forward"
    DROP = "drop"
    REQUEST = "ask"                  # a request of the server's: it waits for an answer



class _Log(msgspec.Struct):
    level: Any = None


class _Message(msgspec.Struct):
    method: Any = None
    id: Any = msgspec.UNSET
    params: _Log | None = None


_message = msgspec.json.Decoder(_Message)


def request(body: bytes, message_id: MessageId) -> bytes:
    """The message under another id, which no other caller of the same session has, without the keys of its hop."""
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
    """The log level that the message asks for, "" for none."""
    level = jsonrpc.open_object(jsonrpc.open_object(jsonrpc.open_object(body)["params"])["_meta"]).get(
        modern.LOG_LEVEL_KEY, msgspec.Raw(b'""')
    )
    named = level and msgspec.json.decode(level)
    if named == "" or named in _LEVELS:
        return str(named)
    raise InvalidParams(f"{modern.LOG_LEVEL_KEY} must be one of {', '.join(_LEVELS)}")


def covers_level(level: str, required: str) -> bool:
    """Whether a session of this level, "" for none, says all that is wanted."""
    return level != "" and _LEVELS.index(level) <= _LEVELS.index(required)


def response(data: bytes, message_id: MessageId, method: str, context: TranslationContext = NO_CONTEXT) -> bytes:
    """The server's answer, as one of the stateless revision to the request of this id.

    Where the server wants a page opened first, the client is asked to if it takes pages. Raises MissingCapability
    if it does not.
    """
    message = jsonrpc.open_object(data)
    message["id"] = jsonrpc.raw(message_id)
    if "result" in message:
        result = jsonrpc.open_object(message["result"])
        if method == "tools/list":
            result = tool_lists.without_broken_keys(result)
        message["result"] = jsonrpc.raw(result_fields.to_modern(result, method, context.server_info))
    elif "error" in message:
        if method in inputs.METHODS and (asked := url_required.input_required(message["error"])) is not None:
            if not context.accepts_urls:
                raise MissingCapability({"elicitation": {"url": {}}})
            del message["error"]
            return jsonrpc.close_object(message | {"result": jsonrpc.raw(asked)})
        error = jsonrpc.open_object(message["error"])
        code = msgspec.json.decode(error.get("code", msgspec.Raw(b"null")))
        if code == NotFound.code:
            error["code"] = jsonrpc.raw(InvalidParams.code)
        elif code == url_required.CODE:
            error["code"] = jsonrpc.raw(-32603)
        message["error"] = jsonrpc.raw(error)
    return jsonrpc.close_object(message)


def side_message(data: bytes, level: str) -> SideMessage:
    """What becomes of a message that the server sends while it answers. `level` is of the log messages that the
    client wants, "" for none."""
    try:
        message = _message.decode(data)
    except msgspec.DecodeError:
        return SideMessage.DROP
    if message.method is None:
        return SideMessage.DROP                        # an answer to somebody else
    if message.id is not msgspec.UNSET:
        return SideMessage.REQUEST
    if message.method == "notifications/message":
        said = message.params.level if message.params is not None else None
        wanted = level and said in _LEVELS and _LEVELS.index(said) >= _LEVELS.index(level)
        return SideMessage.FORWARD if wanted else SideMessage.DROP
    return SideMessage.FORWARD if message.method == "notifications/progress" else SideMessage.DROP
