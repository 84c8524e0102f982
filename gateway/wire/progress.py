"""Progress notifications and `progressToken`. Pure.

MCP 2026-07-28 basic/utilities/progress.
"""

from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.envelope import MessageId


class _Meta(msgspec.Struct):
    token: Any = msgspec.field(default=None, name="progressToken")


class _RequestParams(msgspec.Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta, name="_meta")


class _Request(msgspec.Struct):
    params: _RequestParams = msgspec.field(default_factory=_RequestParams)


_request = msgspec.json.Decoder(_Request)


def token_of(body: bytes) -> MessageId:
    """Return the `progressToken` of a request, None for none."""
    try:
        token = _request.decode(body).params.meta.token
    except msgspec.DecodeError:
        return None
    return token if isinstance(token, str | int) and not isinstance(token, bool) else None


def with_token(data: bytes, token: MessageId, new: MessageId) -> bytes | None:
    """Replace the token in a progress notification by that of the client's retry; other messages stay unchanged.
    None if the retry has no token, and so expects no progress."""
    if token == new or b"notifications/progress" not in data:
        return data
    message = jsonrpc.open_object(data)
    if bytes(message.get("method", msgspec.Raw())) != b'"notifications/progress"':
        return data
    if new is None:
        return None
    params = jsonrpc.open_object(message["params"])
    params["progressToken"] = jsonrpc.raw(new)
    message["params"] = jsonrpc.raw(params)
    return jsonrpc.close_object(message)
