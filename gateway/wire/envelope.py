"""Parses the envelope of a JSON-RPC message: kind, method, id, and the names in its params. Pure.

The rest of the message is not decoded (JSON-RPC 2.0 §4; MCP 2025-11-25 basic §Messages).
"""

import re
from enum import Enum
from typing import Any

import msgspec

from longshore.gateway.wire.protocol_errors import ParseError
from longshore.shared.errors import BadRequest

# Revisions with sessions and `initialize`. A later one in the version header is modern.
LEGACY_VERSIONS = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})
# Matches everything except brackets outside of strings. Possessive, and it matches any input: otherwise a hostile body
# could cost quadratic time, or memory of a hundred times its size.
_NOT_NESTING = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.?)*+"?)++', re.DOTALL)

MessageId = str | int | float | None


class Kind(Enum):
    """Kind of a JSON-RPC message."""

    REQUEST = "request"
    NOTIFICATION = "notification"
    RESPONSE = "response"


class _Meta(msgspec.Struct):
    protocol: Any = msgspec.field(default=None, name="io.modelcontextprotocol/protocolVersion")
    traceparent: Any = None


class _Params(msgspec.Struct):
    name: Any = None
    uri: Any = None
    cursor: Any = None
    meta: Any = msgspec.field(default=None, name="_meta")


class _TypedParams(msgspec.Struct):
    name: str = ""
    uri: str = ""
    cursor: str = ""
    meta: _Meta | None = msgspec.field(default=None, name="_meta")


class Envelope(msgspec.Struct, frozen=True):
    """Envelope of one message: id (None for a notification), method ("" for a response), names in its params."""

    kind: Kind
    id: MessageId
    method: str
    name: str = ""           # params.name
    uri: str = ""            # params.uri
    cursor: str = ""         # params.cursor
    has_modern_meta: bool = False    # `_meta` names a protocol version, as only modern messages do
    traceparent: str = ""    # of `_meta`


class _Typed(msgspec.Struct):
    method: str
    jsonrpc: str = ""
    id: str | int | msgspec.UnsetType = msgspec.UNSET
    params: _TypedParams | None = None


class _Loose(msgspec.Struct):
    jsonrpc: Any = None
    method: Any = None
    id: Any = msgspec.UNSET
    params: Any = None
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_typed = msgspec.json.Decoder(_Typed)
_loose = msgspec.json.Decoder(_Loose)


def check_depth(body: bytes, limit: int) -> None:
    """Raise BadRequest for JSON nested deeper than `limit`, before a decoder recurses into it.

    Costs two counts for ordinary bodies: only a body with more brackets than the limit is scanned.
    """
    if body.count(b"{") + body.count(b"[") <= limit:
        return
    depth = 0
    for char in _NOT_NESTING.sub(b"", body):
        depth += 1 if char in b"[{" else -1
        if depth > limit:
            raise BadRequest(f"the JSON is nested deeper than {limit} levels")


def parse(body: bytes) -> Envelope:
    """Parse one message. Raises ParseError if it is not JSON, BadRequest if it is not a JSON-RPC message."""
    if not body.isascii() and not _is_utf8(body):  # the decoder does not check what it skips
        raise ParseError(_NOT_JSON)
    try:
        message = _typed.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return _parse_loosely(body)
    if message.jsonrpc != "2.0":
        raise BadRequest('every message needs "jsonrpc": "2.0"')
    params, meta = message.params or _NO_PARAMS, _NO_META
    if params.meta is not None:
        meta = params.meta
    return Envelope(
        Kind.NOTIFICATION if message.id is msgspec.UNSET else Kind.REQUEST,
        None if message.id is msgspec.UNSET else message.id,
        message.method, params.name, params.uri, params.cursor,
        meta.protocol is not None, meta.traceparent if isinstance(meta.traceparent, str) else "",
    )


_NO_META, _NO_PARAMS = _Meta(), _TypedParams()
_NOT_JSON = "the body is not valid JSON in UTF-8"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse_loosely(body: bytes) -> Envelope:
    """Parse responses, and requests whose params have other types than the specification defines."""
    if body.lstrip()[:1] == b"[":
        raise BadRequest(
            "a JSON array is a batch, which this session's protocol revision does not have; send one message a request"
        )
    try:
        message = _loose.decode(body)
    except msgspec.ValidationError:
        raise BadRequest("the body is JSON, but not a JSON-RPC message object") from None
    except (msgspec.DecodeError, RecursionError):
        raise ParseError(_NOT_JSON) from None
    if message.jsonrpc != "2.0":
        raise BadRequest('every message needs "jsonrpc": "2.0"')
    if message.method is None and (bytes(message.result) or bytes(message.error)):
        return Envelope(Kind.RESPONSE, _id_of(message.id), "")
    if not isinstance(message.method, str):
        raise BadRequest("a message needs a method (a string), a result or an error")
    if message.id is msgspec.UNSET:
        return Envelope(Kind.NOTIFICATION, None, message.method)
    return Envelope(Kind.REQUEST, _id_of(message.id), message.method, **_names(message.params))


def _id_of(value: Any) -> MessageId:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    raise BadRequest("a message id must be a string or an integer")


def _names(params: Any) -> dict[str, Any]:
    if not isinstance(params, dict):
        return {}
    meta = params.get("_meta")
    names: dict[str, Any] = {key: params[key] for key in ("name", "uri", "cursor") if isinstance(params.get(key), str)}
    if not isinstance(meta, dict):
        return names
    names["has_modern_meta"] = meta.get("io.modelcontextprotocol/protocolVersion") is not None
    if isinstance(traceparent := meta.get("traceparent"), str):
        names["traceparent"] = traceparent
    return names
