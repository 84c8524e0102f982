"""`input_required` results of modern servers, converted for legacy clients: each input request becomes a server
request, the client's responses go into a retry of the call. Pure.

MCP 2026-07-28 basic/patterns/mrtr; MCP 2025-11-25 client/elicitation, client/sampling, client/roots.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.declared_client import Capabilities
from longshore.gateway.wire.envelope import MessageId
from longshore.gateway.wire.protocol_errors import InputMissing, MissingCapability
from longshore.shared.errors import UpstreamDown

_MAX_REQUESTS = 16           # in one result
_RESULT_TYPE = b'"input_required"'
_MODES_SINCE = "2025-11-25"
_MALFORMED = "the upstream server asks for input in a way that cannot be understood"


@dataclass(frozen=True, slots=True)
class InputRequest:
    """Input request: elicitation, sampling or roots."""

    method: str
    params: jsonrpc.RawMap

    @property
    def is_url(self) -> bool:
        """True for elicitation in URL mode, which sends the user to a page."""
        return self.method == "elicitation/create" and bytes(self.params.get("mode", b"")) == b'"url"'

    def required_capability(self) -> Capabilities:
        """Return the capability that the client must have declared."""
        if self.method == "elicitation/create":
            return {"elicitation": {"url": {}} if self.is_url else {"form": {}}}
        if self.method == "roots/list":
            return {"roots": {}}
        return {"sampling": {"tools": {}} if self.params.keys() & {"tools", "toolChoice"} else {}}


@dataclass(frozen=True, slots=True)
class InputRequired:
    """Decoded `input_required` result. Without requests the call is simply retried."""

    requests: dict[str, InputRequest]    # by the server's keys
    state: msgspec.Raw | None            # `requestState`, returned to the server unchanged

    def check(self, declared: Capabilities) -> None:
        """Raise MissingCapability if the requests need more than the client has declared."""
        lacking: Capabilities = {}
        for request in self.requests.values():
            for name, parts in request.required_capability().items():
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


class _Response(msgspec.Struct):
    result: dict[str, msgspec.Raw] | None = None
    error: Any = None


_results = msgspec.json.Decoder(_Result)
_responses = msgspec.json.Decoder(_Response)


def parse(response: bytes) -> InputRequired | None:
    """Parse an `input_required` response; None for any other. Raises UpstreamDown for input requests that legacy
    clients do not have."""
    if _RESULT_TYPE not in response:
        return None
    result = jsonrpc.open_object(response).get("result")
    if result is None or bytes(jsonrpc.open_object(result).get("resultType", b"")) != _RESULT_TYPE:
        return None
    try:
        found = _results.decode(result)
    except msgspec.DecodeError:
        raise UpstreamDown(_MALFORMED) from None
    requests = {
        key: InputRequest(one.method, jsonrpc.open_object(one.params)) for key, one in (found.requests or {}).items()
    }
    state = msgspec.Raw(bytes(found.state)) if bytes(found.state) else None
    if not requests and state is None:
        raise UpstreamDown(_MALFORMED)
    if len(requests) > _MAX_REQUESTS:
        raise UpstreamDown(f"the upstream server asks more than {_MAX_REQUESTS} questions at once")
    if any(request.method not in _LEGACY_METHODS for request in requests.values()):
        raise UpstreamDown("the upstream server asks for something that clients with a session do not have")
    return InputRequired(requests, state)


_LEGACY_METHODS = frozenset({"elicitation/create", "sampling/createMessage", "roots/list"})


def legacy_request(request: InputRequest, message_id: str, protocol: str) -> bytes:
    """Convert an input request into a legacy server request, under an id of the gateway's own."""
    params = dict(request.params)
    if request.is_url:
        params["elicitationId"] = jsonrpc.raw(message_id)    # the modern revision has no such field
    elif request.method == "elicitation/create" and protocol < _MODES_SINCE:
        params.pop("mode", None)
    return jsonrpc.request(message_id, request.method, params or None)


def elicitation_complete(message_id: str) -> bytes:
    """Build the notification that an elicitation by URL is complete
    (MCP 2025-11-25 client/elicitation §Completion Notifications)."""
    return jsonrpc.notification("notifications/elicitation/complete", {"elicitationId": message_id})


def cancelled(message_id: str, reason: str) -> bytes:
    """Build the notification that cancels a server request."""
    return jsonrpc.notification("notifications/cancelled", {"requestId": message_id, "reason": reason})


def input_response(request: InputRequest, response: bytes) -> msgspec.Raw:
    """Convert the client's JSON-RPC response into an entry of `inputResponses`. Raises InputMissing for an error."""
    try:
        decoded = _responses.decode(response)
    except msgspec.DecodeError:
        decoded = _Response()
    if decoded.result is not None:
        return jsonrpc.raw(decoded.result)
    reason = decoded.error.get("message") if isinstance(decoded.error, dict) else None
    words = f": {reason[:500]}" if isinstance(reason, str) and reason else ""
    raise InputMissing(f"the client gave no answer to {request.method}, which the server needs{words}")


def is_accepted(result: msgspec.Raw) -> bool:
    """True if this elicitation result says that the user accepted."""
    return bytes(jsonrpc.open_object(result).get("action", b"")) == b'"accept"'


def without_retry_fields(body: bytes) -> bytes:
    """Remove the retry fields from a legacy client's request: that revision does not have them."""
    if b"inputResponses" not in body and b"requestState" not in body:
        return body
    message = jsonrpc.open_object(body)
    params = jsonrpc.open_object(message.get("params", msgspec.Raw(b"{}")))
    kept = {name: value for name, value in params.items() if name not in _RETRY_FIELDS}
    return jsonrpc.close_object(message | {"params": jsonrpc.raw(kept)}) if len(kept) < len(params) else body


_RETRY_FIELDS = ("inputResponses", "requestState")


def retry(body: bytes, message_id: MessageId, required: InputRequired, answers: dict[str, msgspec.Raw]) -> bytes:
    """Build the retry of `body` under another id, with the input responses and the server's `requestState`."""
    message = jsonrpc.open_object(body)
    params = jsonrpc.open_object(message["params"])
    for name in _RETRY_FIELDS:
        params.pop(name, None)
    if answers:
        params["inputResponses"] = jsonrpc.raw(answers)
    if required.state is not None:
        params["requestState"] = required.state
    return jsonrpc.close_object(message | {"id": jsonrpc.raw(message_id), "params": jsonrpc.raw(params)})
