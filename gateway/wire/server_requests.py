"""Requests that legacy servers send during a call, converted for modern clients. Pure.

MCP 2026-07-28 basic/patterns/mrtr: the requests become `inputRequests` of an `input_required` result, and the client
retries its call with `inputResponses`.
"""

import hashlib
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc, modern
from longshore.gateway.wire.envelope import MessageId
from longshore.gateway.wire.protocol_errors import InvalidParams

_ELICITATION, _SAMPLING, _ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"
_LEGACY_ONLY_PARAMS = ("_meta", "elicitationId", "task")
_RETRY_FIELDS = ("inputResponses", "requestState")
_EMPTY = msgspec.Raw(b"{}")


class InputCapabilities(msgspec.Struct, frozen=True, array_like=True):
    """Kinds of input requests that a client accepts, as declared in the `_meta` of each request."""

    form: bool = False
    url: bool = False
    sampling: bool = False
    tools: bool = False          # in sampling
    context: bool = False        # in sampling
    roots: bool = False

    @property
    def any(self) -> bool:
        """True if the client accepts any input request."""
        return self.form or self.url or self.sampling or self.roots

    @property
    def key(self) -> str:
        """Text that is equal for equal declarations, "" for none."""
        return "".join(letter for letter, is_on in zip("fustcr", msgspec.structs.astuple(self), strict=True) if is_on)

    def encode(self) -> dict[str, Any]:
        """Encode as the capabilities of an `initialize` request."""
        found: dict[str, Any] = {}
        if self.form or self.url:
            found["elicitation"] = {name: {} for name, is_on in (("form", self.form), ("url", self.url)) if is_on}
        if self.sampling:
            subs = (("tools", self.tools), ("context", self.context))
            found["sampling"] = {name: {} for name, is_on in subs if is_on}
        if self.roots:
            found["roots"] = {}
        return found


NO_INPUT = InputCapabilities()


class ServerRequest(msgspec.Struct, frozen=True):
    """Server request that is passed on to the client."""

    id: msgspec.Raw              # the server's own
    method: str
    params: msgspec.Raw          # JSON object, b"" for none


class Retry(msgspec.Struct, frozen=True):
    """Retry of a call, split into its retry fields and the rest."""

    state: str                   # `requestState`, "" for none
    responses: dict[str, msgspec.Raw]
    body: bytes                  # the call without the retry fields


class _Elicitation(msgspec.Struct):
    form: msgspec.Raw = msgspec.Raw()
    url: msgspec.Raw = msgspec.Raw()


class _Sampling(msgspec.Struct):
    tools: msgspec.Raw = msgspec.Raw()
    context: msgspec.Raw = msgspec.Raw()


class _Capabilities(msgspec.Struct):
    elicitation: _Elicitation | None = None
    sampling: _Sampling | None = None
    roots: dict[str, Any] | None = None


class _RequestParams(msgspec.Struct):
    mode: Any = "form"
    tools: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    method: str
    id: msgspec.Raw
    params: _RequestParams = msgspec.field(default_factory=_RequestParams)


_capabilities = msgspec.json.Decoder(_Capabilities)
_requests = msgspec.json.Decoder(_Request)
_responses = msgspec.json.Decoder(dict[str, msgspec.Raw])
_texts = msgspec.json.Decoder(str)


def parse_capabilities(capabilities: msgspec.Raw) -> InputCapabilities:
    """Read a client's declared capabilities. Raises InvalidParams if they are malformed."""
    try:
        found = _capabilities.decode(capabilities)
    except msgspec.DecodeError:
        raise InvalidParams(f"{modern.CAPABILITIES_KEY} must be an object of objects") from None
    elicitation, sampling = found.elicitation, found.sampling
    by_url = elicitation is not None and bool(bytes(elicitation.url))
    return InputCapabilities(
        form=elicitation is not None and (bool(bytes(elicitation.form)) or not by_url),   # `{}` means form only
        url=by_url,
        sampling=sampling is not None,
        tools=sampling is not None and bool(bytes(sampling.tools)),
        context=sampling is not None and bool(bytes(sampling.context)),
        roots=found.roots is not None,
    )


def own_response(data: bytes, accepted: InputCapabilities) -> bytes | None:
    """Respond to a server request that does not go to the client: ping, or an error; None for one that does.

    MCP 2025-11-25 client/elicitation, client/sampling and client/roots §Error Handling, basic/utilities/ping.
    """
    raw_id = jsonrpc.open_object(data).get("id", msgspec.Raw(b"null"))
    try:
        request = _requests.decode(data)
    except msgspec.DecodeError:
        return _error(raw_id, -32602, "the request has parameters of a wrong shape")
    if request.method == "ping":
        return jsonrpc.result(raw_id, _EMPTY)
    can = {_ELICITATION: accepted.form or accepted.url, _SAMPLING: accepted.sampling, _ROOTS: accepted.roots}
    if not can.get(request.method):
        return _error(raw_id, -32601, "the client of this call takes no such request while it runs")
    if request.method == _ELICITATION and not (accepted.url if request.params.mode == "url" else accepted.form):
        return _error(raw_id, -32602, "the client of this call does not take this mode of elicitation")
    if request.method == _SAMPLING and bytes(request.params.tools) and not accepted.tools:
        return _error(raw_id, -32602, "the client of this call takes no tools in sampling")
    return None


def parse_request(data: bytes) -> ServerRequest:
    """Parse a server request that goes to the client."""
    message = jsonrpc.open_object(data)
    method = _texts.decode(message["method"])
    if "params" not in message:
        return ServerRequest(message["id"], method, msgspec.Raw())
    params = {
        name: value for name, value in jsonrpc.open_object(message["params"]).items()
        if name not in _LEGACY_ONLY_PARAMS
    }
    return ServerRequest(message["id"], method, jsonrpc.raw(params) if params else msgspec.Raw())


def input_required(requests: dict[str, ServerRequest], state: str) -> bytes:
    """Build the `input_required` response with these requests. Its id is set later."""
    encoded = {
        key: {"method": request.method, **({"params": request.params} if bytes(request.params) else {})}
        for key, request in requests.items()
    }
    return jsonrpc.result(None, {"resultType": "input_required", "inputRequests": encoded, "requestState": state})


def client_response(request: ServerRequest, result: msgspec.Raw) -> bytes:
    """Build the response to a server request from the client's input response."""
    return jsonrpc.result(request.id, result)


def call_ended_error(request: ServerRequest) -> bytes:
    """Build the error response to a server request whose call has ended."""
    return _error(request.id, -32603, "the call that this was asked of has ended")


def too_many_error(data: bytes) -> bytes:
    """Build the error response to a server request above the limit of one call."""
    raw_id = jsonrpc.open_object(data).get("id", msgspec.Raw(b"null"))
    return _error(raw_id, -32603, "too many requests of this call wait for an answer already")


def parse_retry(body: bytes) -> Retry | None:
    """Split a call with retry fields; None for a call without them. Raises InvalidParams."""
    if not any(name.encode() in body for name in _RETRY_FIELDS):
        return None
    message = jsonrpc.open_object(body)
    params = jsonrpc.open_object(message["params"])
    state, responses = params.pop("requestState", None), params.pop("inputResponses", None)
    if state is None and responses is None:
        return None
    message["params"] = jsonrpc.raw(params)
    try:
        decoded = _responses.decode(responses or _EMPTY)
        if any(bytes(one)[:1] != b"{" for one in decoded.values()):
            raise InvalidParams("each of inputResponses must be an object")
        return Retry(_texts.decode(state) if state is not None else "", decoded, jsonrpc.close_object(message))
    except msgspec.DecodeError:
        raise InvalidParams("inputResponses must be an object and requestState a string") from None


def call_digest(method: str, body: bytes) -> bytes:
    """Digest of method and params, 32 bytes: equal for a call and its retries, whoever sends them."""
    params = msgspec.json.decode(jsonrpc.open_object(body)["params"])
    kept = {name: value for name, value in params.items() if name not in ("_meta", *_RETRY_FIELDS)}
    return hashlib.sha256(msgspec.json.encode([method, kept], order="deterministic")).digest()


def with_id(body: bytes, message_id: MessageId) -> bytes:
    """Replace the id of a response; any other message stays unchanged."""
    message = jsonrpc.open_object(body)
    return jsonrpc.close_object(message | {"id": jsonrpc.raw(message_id)}) if "jsonrpc" in message else body


def _error(raw_id: msgspec.Raw, code: int, sentence: str) -> bytes:
    error = jsonrpc.raw({"code": code, "message": sentence})
    return jsonrpc.close_object({"jsonrpc": jsonrpc.raw("2.0"), "id": raw_id, "error": error})
