"""Requests of legacy servers, converted for modern clients."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import InputRequiredResult

from longshore.gateway.wire import progress, server_requests
from longshore.gateway.wire.protocol_errors import InvalidParams
from longshore.gateway.wire.server_requests import InputCapabilities

_FORM = {"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}
_ALL = InputCapabilities(True, True, True, True, True, True)


def _taken(capabilities: Any) -> InputCapabilities:
    return server_requests.parse_capabilities(msgspec.Raw(msgspec.json.encode(capabilities)))


@pytest.mark.parametrize(("capabilities", "takes"), [
    ({}, InputCapabilities()),
    ({"extensions": {"a/b": {}}, "experimental": {}}, InputCapabilities()),
    ({"elicitation": {}}, InputCapabilities(form=True)),
    ({"elicitation": {"url": {}}}, InputCapabilities(url=True)),
    ({"elicitation": {"form": {}, "url": {}}}, InputCapabilities(form=True, url=True)),
    ({"sampling": {}}, InputCapabilities(sampling=True)),
    ({"sampling": {"tools": {}, "context": {}}}, InputCapabilities(sampling=True, tools=True, context=True)),
    ({"roots": {"listChanged": True}}, InputCapabilities(roots=True)),
])
def test_what_a_client_declares_is_what_it_takes(capabilities: Any, takes: InputCapabilities) -> None:
    found = _taken(capabilities)

    assert found == takes
    assert found.any == bool(found.key) == bool(found.encode())
    assert _taken(found.encode()) == takes


@pytest.mark.parametrize("capabilities", [7, [], {"elicitation": 7}, {"sampling": []}, {"roots": "all"}])
def test_something_else_is_no_declaration(capabilities: Any) -> None:
    with pytest.raises(InvalidParams):
        _taken(capabilities)


@given(one=st.builds(InputCapabilities, *[st.booleans()] * 6), other=st.builds(InputCapabilities, *[st.booleans()] * 6))
def test_only_the_same_declarations_have_the_same_key(one: InputCapabilities, other: InputCapabilities) -> None:
    assert (one.key == other.key) == (one == other)


@pytest.mark.parametrize(("method", "params", "code"), [
    ("elicitation/create", _FORM, -32601), ("sampling/createMessage", {}, -32601), ("roots/list", None, -32601),
    ("tasks/get", {}, -32601), ("elicitation/create", 7, -32602),
])
def test_a_client_that_takes_nothing_has_every_request_refused(method: str, params: Any, code: int) -> None:
    message = {"jsonrpc": "2.0", "id": 5, "method": method, **({} if params is None else {"params": params})}

    answer = server_requests.own_response(msgspec.json.encode(message), server_requests.NO_INPUT)

    assert answer is not None
    decoded = msgspec.json.decode(answer)
    assert (decoded["id"], decoded["error"]["code"]) == (5, code)


def test_server_requests_become_valid_input_requests() -> None:
    """Fields of legacy revisions are removed; the official types parse the result."""
    asked: list[dict[str, Any]] = [
        {"method": "elicitation/create", "params": {**_FORM, "_meta": {"progressToken": 1}, "task": {"ttl": 1}}},
        {"method": "elicitation/create",
         "params": {"mode": "url", "url": "https://x.example/", "message": "m", "elicitationId": "e"}},
        {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}},
        {"method": "roots/list"},
    ]
    messages = [msgspec.json.encode({"jsonrpc": "2.0", "id": n, **one}) for n, one in enumerate(asked)]

    assert [server_requests.own_response(message, _ALL) for message in messages] == [None] * 4
    questions = {f"{n}": server_requests.parse_request(message) for n, message in enumerate(messages)}
    result = msgspec.json.decode(server_requests.input_required(questions, "s"))["result"]

    assert [one["method"] for one in result["inputRequests"].values()] == [one["method"] for one in asked]
    assert result["inputRequests"]["0"]["params"] == _FORM
    assert "elicitationId" not in result["inputRequests"]["1"]["params"]
    assert InputRequiredResult.model_validate(result).request_state == "s"
    answer = msgspec.json.decode(server_requests.client_response(questions["1"], msgspec.Raw(b'{"action":"accept"}')))
    assert answer == {"jsonrpc": "2.0", "id": 1, "result": {"action": "accept"}}


def _call(**params: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t", **params}})


def test_a_call_is_the_same_in_every_round() -> None:
    """`_meta`, input responses and the order of arguments do not matter."""
    first = _call(arguments={"a": 1, "b": [1, 2]}, _meta={"progressToken": 1})
    later = _call(
        inputResponses={"1": {}}, requestState="s", arguments={"b": [1, 2], "a": 1}, _meta={"progressToken": 2}
    )
    found = server_requests.parse_retry(later)

    assert server_requests.parse_retry(first) is None
    assert found is not None
    assert (found.state, set(found.responses)) == ("s", {"1"})
    assert b"inputResponses" not in found.body
    assert server_requests.call_digest("tools/call", first) == server_requests.call_digest("tools/call", found.body)
    other = _call(arguments={"a": 1, "b": [2, 1]})
    assert server_requests.call_digest("tools/call", first) != server_requests.call_digest("tools/call", other)
    assert server_requests.call_digest("tools/call", first) != server_requests.call_digest("prompts/get", first)


def test_progress_carries_the_token_of_the_retry() -> None:
    progressed = msgspec.json.encode({
        "jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "one", "progress": 0.5},
    })
    other = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"notifications/progress"}}'

    assert progress.token_of(_call(_meta={"progressToken": "one"})) == "one"
    assert progress.token_of(_call()) is None
    assert progress.with_token(progressed, "one", "one") is progressed
    assert progress.with_token(progressed, "one", None) is None
    assert progress.with_token(other, "one", None) is other
    moved = progress.with_token(progressed, "one", 2)
    assert moved is not None
    assert msgspec.json.decode(moved)["params"] == {"progressToken": 2, "progress": 0.5}
