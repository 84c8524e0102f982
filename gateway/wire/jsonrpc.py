"""Builds JSON-RPC responses and edits those of an upstream. Pure.

Edits decode one level at a time into `Raw`: whatever is not changed keeps its bytes and order.
"""

from typing import Any

import msgspec

from longshore.gateway.wire.envelope import MessageId
from longshore.shared.errors import LongshoreError, UpstreamDown

RawMap = dict[str, msgspec.Raw]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)    # raised by decoders

_map = msgspec.json.Decoder(RawMap)
_encode = msgspec.json.Encoder().encode


def request(request_id: MessageId, method: str, params: Any = None) -> bytes:
    """Build a request; `params` may hold `Raw` parts, None leaves them out."""
    head = {"jsonrpc": "2.0", "id": request_id, "method": method}
    return _encode(head if params is None else head | {"params": params})


def notification(method: str, params: Any = None) -> bytes:
    """Build a notification; `params` may hold `Raw` parts, None leaves them out."""
    head = {"jsonrpc": "2.0", "method": method}
    return _encode(head if params is None else head | {"params": params})


def result(request_id: MessageId | msgspec.Raw, value: Any) -> bytes:
    """Build a response with a result; `value` may hold `Raw` parts."""
    return _encode({"jsonrpc": "2.0", "id": request_id, "result": value})


def error(request_id: MessageId, err: LongshoreError, *, code: int | None = None) -> bytes:
    """Build an error response; `data.reason` is the stable, machine-readable part. `code` replaces the error's own
    where a revision defines another."""
    code = err.code if code is None else code
    body = {"code": code, "message": str(err), "data": {"reason": err.reason, **err.details}}
    return _encode({"jsonrpc": "2.0", "id": request_id, "error": body})


def tool_failure(err: LongshoreError) -> dict[str, Any]:
    """Build a tool result with `isError: true`, which the model reads and can correct
    (MCP 2025-11-25 server/tools §Error Handling)."""
    content = [{"type": "text", "text": str(err)}]
    return {"content": content, "isError": True, "_meta": {"longshore/reason": err.reason}}


def raw(value: Any) -> msgspec.Raw:
    """Encode `value` for a `RawMap`."""
    return msgspec.Raw(_encode(value))


def open_object(data: msgspec.Raw | bytes) -> RawMap:
    """Decode one level of a JSON object from an upstream. Raises UpstreamDown if it is not an object."""
    try:
        return _map.decode(data)
    except UNREADABLE:
        raise UpstreamDown("the upstream server answered with something that is not a JSON-RPC message") from None


def close_object(parts: RawMap) -> bytes:
    """Encode an object that `open_object` has decoded."""
    return _encode(parts)


class _Head(msgspec.Struct):
    id: Any = msgspec.UNSET
    method: Any = None


_head = msgspec.json.Decoder(_Head)


def is_notification(data: bytes) -> bool:
    """True if `data` is a notification."""
    head = _decode_head(data)
    return isinstance(head.method, str) and head.id is msgspec.UNSET


def is_request(data: bytes) -> bool:
    """True if `data` is a request."""
    head = _decode_head(data)
    return isinstance(head.method, str) and head.id is not msgspec.UNSET


def is_response_to(data: bytes, request_id: MessageId) -> bool:
    """True if `data` is the response to the request of this id."""
    head = _decode_head(data)
    return head.method is None and type(head.id) is type(request_id) and bool(head.id == request_id)


def _decode_head(data: bytes) -> _Head:
    try:
        return _head.decode(data)
    except UNREADABLE:
        return _Head()       # neither method nor id: of no kind
