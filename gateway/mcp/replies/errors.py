"""Errors as answers to MCP messages: the one table of their JSON-RPC form and HTTP status, for clients of both eras."""

from dataclasses import dataclass

import msgspec

from longshore.gateway.request_context import RequestContext
from longshore.gateway.wire import jsonrpc, modern, result_fields
from longshore.gateway.wire.protocol_errors import (
    ArtifactMissing,
    FileRefused,
    InputMissing,
    InvalidParams,
    MethodNotFound,
    MissingCapability,
    ToolInputError,
)
from longshore.shared.errors import CallLost, LongshoreError, NotFound, OverQuota, UpstreamDown, UpstreamTimeout


@dataclass(frozen=True, slots=True)
class _Form:
    """Form of an error that ends a request which was accepted."""

    is_tool_result: bool     # a model can correct it: a result with `isError` (MCP 2025-11-25 server/tools §Errors)
    keeps_200: bool = True   # the failure is the answer: SDK clients hang on a bare 5xx


# Errors of every other kind are JSON-RPC errors with the HTTP status of their class.
_FORMS: dict[type[LongshoreError], _Form] = {
    ToolInputError: _Form(is_tool_result=True),
    ArtifactMissing: _Form(is_tool_result=True),
    OverQuota: _Form(is_tool_result=True),
    InputMissing: _Form(is_tool_result=True),
    MissingCapability: _Form(is_tool_result=True),
    UpstreamDown: _Form(is_tool_result=False),
    UpstreamTimeout: _Form(is_tool_result=False),
    CallLost: _Form(is_tool_result=False),
    FileRefused: _Form(is_tool_result=False),
}
_OTHER = _Form(is_tool_result=False, keeps_200=False)
# HTTP statuses that the modern revision has for error codes (MCP 2026-07-28 basic/transports/streamable-http).
_STATUS_OF_CODE = {
    -32700: 400, -32600: 400, -32602: 400, modern.HEADER_MISMATCH: 400, modern.MISSING_CAPABILITY: 400,
    modern.UNSUPPORTED_VERSION: 400, -32601: 404,
}


def error_message(context: RequestContext, err: LongshoreError) -> bytes:
    """Build the JSON-RPC message for an error of this request: a tool result where the caller can correct it."""
    if context.in_tool_call and _form(context, err).is_tool_result:
        failure = jsonrpc.tool_failure(err)
        return jsonrpc.result(
            context.message_id, result_fields.own_result("tools/call", failure) if context.is_modern else failure
        )
    # The modern revision has no code of its own for what is not there.
    no_such = context.is_modern and isinstance(err, NotFound) and err.code == NotFound.code
    return jsonrpc.error(context.message_id, err, code=InvalidParams.code if no_such else None)


def error_status(context: RequestContext, err: LongshoreError) -> int:
    """HTTP status of the answer to an error. In the modern revision, 404 says that there is no such method."""
    if context.executing and _form(context, err).keeps_200:
        return 200
    return 400 if context.is_modern and err.status == 404 and not isinstance(err, MethodNotFound) else err.status


def _form(context: RequestContext, err: LongshoreError) -> _Form:
    if context.is_modern and isinstance(err, MissingCapability):     # that revision has an error of its own for it
        return _OTHER
    return next((_FORMS[kind] for kind in type(err).__mro__ if kind in _FORMS), _OTHER)


class _Coded(msgspec.Struct):
    code: int


class _Failed(msgspec.Struct):
    error: _Coded | None = None


_failed = msgspec.json.Decoder(_Failed)


def response_status(response: bytes) -> int:
    """HTTP status that the modern revision has for a response: 200 unless it is an error with a status of its own."""
    try:
        error = _failed.decode(response).error
    except jsonrpc.UNREADABLE:
        return 200
    return 200 if error is None else _STATUS_OF_CODE.get(error.code, 200)
