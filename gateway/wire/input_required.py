"""What a server of the stateless revision wants to know before it answers: its questions as requests to a client with
a session, and the answers as the server takes them. Pure.

MCP 2026-07-28 basic/patterns/mrtr; MCP 2025-11-25 client/elicitation, client/sampling, client/roots.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.envelope import MessageId
from longshore.gateway.wire.introduction import Capabilities
from longshore.shared.errors import InputMissing, MissingCapability, UpstreamDown

MAX_REQUESTS = 16          # of one round
METHODS = frozenset({"tools/call", "prompts/get", "resources/read"})   # that may ask, as the revision has it
_RESULT_TYPE = b'"input_required"'
_MODES_SINCE = "2025-11-25"
_MALFORMED = "the upstream server asks for input in a way that cannot be understood"


@dataclass(frozen=True, slots=True)
class InputRequest:
    """One request of the server's to the client."""

    method: str
    params: jsonrpc.RawMap

    @property
    def is_url(self) -> bool:
        """Whether it sends the user to a page instead of showing a form."""
        return self.method == "elicitation/create" and bytes(self.params.get("mode", b"")) == b'"url"'

    def required_capability(self) -> Capabilities:
        """The capability that the client must have declared."""
        if self.method == "elicitation/create":
            return {"elicitation": {"url": {}} if self.is_url else {"form": {}}}
        if self.method == "roots/list":
            return {"roots": {}}
        return {"sampling": {"tools": {}} if self.params.keys() & {"tools", "toolChoice"} else {}}


@dataclass(frozen=True, slots=True)
class InputRequired:
    """What one answer of the server's wants. Without questions it wants to be asked again."""

    requests: dict[str, InputRequest]       # by the server's own keys
    state: msgspec.Raw | None            # to be given back as it is

    def check(self, declared: Capabilities) -> None:
        """Raise MissingCapability for what a client cannot be asked that declared this."""
        lacking: Capabilities = {}
        for question in self.requests.values():
            for name, parts in question.required_capability().items():
                if name not in declared or not parts.keys() <= declared[name].keys():
                    lacking.setdefault(name, {}).update(parts)
        if lacking:
            raise MissingCapability(lacking)


class _Request(msgspec.Struct):
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")


class _Result(msgspec.Struct):
    requests: dict[str, _Request] | None = msgspec.field(default=None, name="inputRequests")
    state: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="requestState")


class _Answer(msgspec.Struct):
    result: dict[str, msgspec.Raw] | None = None
    error: Any = None


_results = msgspec.json.Decoder(_Result)
_answers = msgspec.json.Decoder(_Answer)


def parse(response: bytes) -> InputRequired | None:
    """What the server's response wants, None for one that answers. Raises UpstreamDown for questions that no client
    of the session era has an answer to."""
    if _RESULT_TYPE not in response:
        return None
    result = jsonrpc.open_object(response).get("result")
    if result is None or bytes(jsonrpc.open_object(result).get("resultType", b"")) != _RESULT_TYPE:
        return None
    try:
        found = _results.decode(result)
    except msgspec.DecodeError:
        raise UpstreamDown(_MALFORMED) from None
    questions = {
        key: InputRequest(one.method, jsonrpc.open_object(one.params)) for key, one in (found.requests or {}).items()
    }
    state = msgspec.Raw(bytes(found.state)) if bytes(found.state) else None
    if not questions and state is None:
        raise UpstreamDown(_MALFORMED)
    if len(questions) > MAX_REQUESTS:
        raise UpstreamDown(f"the upstream server asks more than {MAX_REQUESTS} questions at once")
    if any(question.method not in _LEGACY_METHODS for question in questions.values()):
        raise UpstreamDown("the upstream server asks for something that clients with a session do not have")
    return InputRequired(questions, state)


_LEGACY_METHODS = frozenset({"elicitation/create", "sampling/createMessage", "roots/list"})


def legacy_request(question: InputRequest, message_id: str, protocol: str) -> bytes:
    """The question as a request of the session era's, under an id of the gateway's own."""
    params = dict(question.params)
    if question.is_url:
        params["elicitationId"] = jsonrpc.raw(message_id)    # which this revision no longer has
    elif question.method == "elicitation/create" and protocol < _MODES_SINCE:
        params.pop("mode", None)
    message = {"jsonrpc": jsonrpc.raw("2.0"), "id": jsonrpc.raw(message_id), "method": jsonrpc.raw(question.method)}
    return jsonrpc.close_object(message | ({"params": jsonrpc.raw(params)} if params else {}))


def elicitation_complete(message_id: str) -> bytes:
    """The notification that what a URL led to is done (MCP 2025-11-25 client/elicitation §Completion Notifications)."""
    return _notification("notifications/elicitation/complete", {"elicitationId": message_id})


def cancelled(message_id: str, reason: str) -> bytes:
    """The notification that a question needs no answer any more."""
    return _notification("notifications/cancelled", {"requestId": message_id, "reason": reason})


def input_response(question: InputRequest, response: bytes) -> msgspec.Raw:
    """What the server is told of the client's response. Raises InputMissing where it is no answer."""
    try:
        said = _answers.decode(response)
    except msgspec.DecodeError:
        said = _Answer()
    if said.result is not None:
        return jsonrpc.raw(said.result)
    reason = said.error.get("message") if isinstance(said.error, dict) else None
    words = f": {reason[:500]}" if isinstance(reason, str) and reason else ""
    raise InputMissing(f"the client gave no answer to {question.method}, which the server needs{words}")


def is_accepted(said: msgspec.Raw) -> bool:
    """Whether this answer to an elicitation is that the user agreed."""
    return bytes(jsonrpc.open_object(said).get("action", b"")) == b'"accept"'


def without_retry_fields(body: bytes) -> bytes:
    """The request as a client of the session era may send it, which never says what it was not asked."""
    if b"inputResponses" not in body and b"requestState" not in body:
        return body
    message = jsonrpc.open_object(body)
    params = jsonrpc.open_object(message.get("params", msgspec.Raw(b"{}")))
    kept = {name: value for name, value in params.items() if name not in _RETRY_FIELDS}
    return jsonrpc.close_object(message | {"params": jsonrpc.raw(kept)}) if len(kept) < len(params) else body


_RETRY_FIELDS = ("inputResponses", "requestState")


def retry(body: bytes, message_id: MessageId, required: InputRequired, answers: dict[str, msgspec.Raw]) -> bytes:
    """The request `body` once more under another id, with the answers to what was `asked`, and its state."""
    message = jsonrpc.open_object(body)
    params = jsonrpc.open_object(message["params"])
    for name in _RETRY_FIELDS:
        params.pop(name, None)
    if answers:
        params["inputResponses"] = jsonrpc.raw(answers)
    if required.state is not None:
        params["requestState"] = required.state
    return jsonrpc.close_object(message | {"id": jsonrpc.raw(message_id), "params": jsonrpc.raw(params)})


def _notification(method: str, params: dict[str, str]) -> bytes:
    return jsonrpc.close_object({
        "jsonrpc": jsonrpc.raw("2.0"), "method": jsonrpc.raw(method), "params": jsonrpc.raw(params),
    })
