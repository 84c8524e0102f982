"""What a server of the session era asks its client in mid-call, as the stateless revision has it asked. Pure.

MCP 2026-07-28 basic/patterns/mrtr: the requests become `inputRequests` of a result, and the client sends its call
again with `inputResponses`.
"""

import hashlib
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc, modern
from longshore.gateway.wire.envelope import MessageId
from longshore.shared.errors import InvalidParams

METHODS = frozenset({"tools/call", "prompts/get", "resources/read"})    # that may be answered with questions
_ELICITATION, _SAMPLING, _ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"
_LEGACY_ONLY_PARAMS = ("_meta", "elicitationId", "task")    # of the session era alone
_RETRY_FIELDS = ("inputResponses", "requestState")
_EMPTY = msgspec.Raw(b"{}")


class InputCapabilities(msgspec.Struct, frozen=True, array_like=True):
    """The requests that a client takes, as it declares with each of its own."""

    form: bool = False
    url: bool = False
    sampling: bool = False
    tools: bool = False          # in sampling
    context: bool = False        # in sampling
    roots: bool = False

    @property
    def any(self) -> bool:
        """Whether the client can be asked anything."""
        return self.form or self.url or self.sampling or self.roots

    @property
    def key(self) -> str:
        """The same text for the same declarations, "" for none."""
        return "".join(letter for letter, is_on in zip("fustcr", msgspec.structs.astuple(self), strict=True) if is_on)

    def encode(self) -> dict[str, Any]:
        """The same as capabilities of `initialize`."""
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
    """A request of the server's that the client can be asked."""

    id: msgspec.Raw              # by which the server knows it
    method: str
    params: msgspec.Raw          # JSON object, b"" for none


class Retry(msgspec.Struct, frozen=True):
    """A call that carries what belongs to a round of questions."""

    state: str                   # `requestState`, "" for none
    responses: dict[str, msgspec.Raw]
    body: bytes                  # the call without both


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
    """What a client takes that declares these. Raises InvalidParams for something that is no declaration."""
    try:
        found = _capabilities.decode(capabilities)
    except msgspec.DecodeError:
        raise InvalidParams(f"{modern.CAPABILITIES_KEY} must be an object of objects") from None
    asked, sampling = found.elicitation, found.sampling
    by_url = asked is not None and bool(bytes(asked.url))
    return InputCapabilities(
        form=asked is not None and (bool(bytes(asked.form)) or not by_url),   # `{}` is form alone
        url=by_url,
        sampling=sampling is not None,
        tools=sampling is not None and bool(bytes(sampling.tools)),
        context=sampling is not None and bool(bytes(sampling.context)),
        roots=found.roots is not None,
    )


def own_response(data: bytes, accepted: InputCapabilities) -> bytes | None:
    """The answer to a request of the server's that is not for the client; None for one that it takes.

    MCP 2025-11-25 client/elicitation, client/sampling and client/roots §Error Handling, basic/utilities/ping.
    """
    raw_id = jsonrpc.open_object(data).get("id", msgspec.Raw(b"null"))
    try:
        asked = _requests.decode(data)
    except msgspec.DecodeError:
        return _error(raw_id, -32602, "the request has parameters of a wrong shape")
    if asked.method == "ping":
        return jsonrpc.close_object({"jsonrpc": jsonrpc.raw("2.0"), "id": raw_id, "result": _EMPTY})
    can = {_ELICITATION: accepted.form or accepted.url, _SAMPLING: accepted.sampling, _ROOTS: accepted.roots}
    if not can.get(asked.method):
        return _error(raw_id, -32601, "the client of this call takes no such request while it runs")
    if asked.method == _ELICITATION and not (accepted.url if asked.params.mode == "url" else accepted.form):
        return _error(raw_id, -32602, "the client of this call does not take this mode of elicitation")
    if asked.method == _SAMPLING and bytes(asked.params.tools) and not accepted.tools:
        return _error(raw_id, -32602, "the client of this call takes no tools in sampling")
    return None


def parse_request(data: bytes) -> ServerRequest:
    """A request of the server's that the client takes."""
    message = jsonrpc.open_object(data)
    method = _texts.decode(message["method"])
    if "params" not in message:
        return ServerRequest(message["id"], method, msgspec.Raw())
    params = {
        name: value for name, value in jsonrpc.open_object(message["params"]).items()
        if name not in _LEGACY_ONLY_PARAMS
    }
    return ServerRequest(message["id"], method, jsonrpc.raw(params) if params else msgspec.Raw())


def input_required(questions: dict[str, ServerRequest], state: str) -> bytes:
    """The response that asks them, with an id that is still to be set."""
    asked = {
        key: {"method": one.method, **({"params": one.params} if bytes(one.params) else {})}
        for key, one in questions.items()
    }
    return jsonrpc.result(None, {"resultType": "input_required", "inputRequests": asked, "requestState": state})


def client_response(one: ServerRequest, response: msgspec.Raw) -> bytes:
    """The client's answer, as the server waits for it."""
    return jsonrpc.close_object({"jsonrpc": jsonrpc.raw("2.0"), "id": one.id, "result": response})


def call_ended_error(one: ServerRequest) -> bytes:
    """The answer to a question whose call ended before its client was asked, or while it was."""
    return _error(one.id, -32603, "the call that this was asked of has ended")


def too_many_error(data: bytes) -> bytes:
    """The answer to a request of the server's that is one more than the client is asked at once."""
    raw_id = jsonrpc.open_object(data).get("id", msgspec.Raw(b"null"))
    return _error(raw_id, -32603, "too many requests of this call wait for an answer already")


def parse_retry(body: bytes) -> Retry | None:
    """What a call says of a round of questions; None for a call that does not. Raises InvalidParams."""
    if not any(name.encode() in body for name in _RETRY_FIELDS):
        return None
    message = jsonrpc.open_object(body)
    params = jsonrpc.open_object(message["params"])
    state, responses = params.pop("requestState", None), params.pop("inputResponses", None)
    if state is None and responses is None:
        return None
    message["params"] = jsonrpc.raw(params)
    try:
        given = _responses.decode(responses or _EMPTY)
        if any(bytes(one)[:1] != b"{" for one in given.values()):
            raise InvalidParams("each of inputResponses must be an object")
        return Retry(_texts.decode(state) if state is not None else "", given, jsonrpc.close_object(message))
    except msgspec.DecodeError:
        raise InvalidParams("inputResponses must be an object and requestState a string") from None


def call_digest(method: str, body: bytes) -> bytes:
    """What a call asks for, whoever sends it and whatever round it is in: 32 bytes."""
    params = msgspec.json.decode(jsonrpc.open_object(body)["params"])
    said = {name: value for name, value in params.items() if name not in ("_meta", *_RETRY_FIELDS)}
    return hashlib.sha256(msgspec.json.encode([method, said], order="deterministic")).digest()


def with_id(body: bytes, message_id: MessageId) -> bytes:
    """A response under the id of the request that it goes to. What is none stays as it is."""
    message = jsonrpc.open_object(body)
    return jsonrpc.close_object(message | {"id": jsonrpc.raw(message_id)}) if "jsonrpc" in message else body


def _error(raw_id: msgspec.Raw, code: int, sentence: str) -> bytes:
    error = jsonrpc.raw({"code": code, "message": sentence})
    return jsonrpc.close_object({"jsonrpc": jsonrpc.raw("2.0"), "id": raw_id, "error": error})
