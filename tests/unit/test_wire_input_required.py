"""Input requests of modern servers, and the responses of legacy clients."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.gateway.wire import input_required
from longshore.gateway.wire.input_required import InputRequest, InputRequired
from longshore.gateway.wire.protocol_errors import InputMissing, MissingCapability
from longshore.shared.errors import UpstreamDown

_FORM: dict[str, Any] = {"method": "elicitation/create", "params": {"message": "who?", "requestedSchema": {}}}
_URL: dict[str, Any] = {"method": "elicitation/create", "params": {"mode": "url", "message": "in", "url": "https://a.example"}}
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=5,
)


def _response(**result: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "input_required", **result}})


def _wanted(**result: Any) -> InputRequired:
    found = input_required.parse(_response(**result))
    assert found is not None
    return found


def _question(asked: dict[str, Any]) -> InputRequest:
    return _wanted(inputRequests={"a": asked}).requests["a"]


@given(st.text(st.characters(codec="utf-8")), st.dictionaries(st.text(st.characters(codec="utf-8")), _json))
def test_state_and_answers_go_back_as_they_are_with_the_request_as_it_was(state: str, answer: dict[str, Any]) -> None:
    body = {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "e", "_meta": {"progressToken": 1}}}
    asked = _wanted(inputRequests={"ключ": _FORM}, requestState=state)
    response = msgspec.json.encode({"jsonrpc": "2.0", "id": "q", "result": answer})

    said = input_required.input_response(asked.requests["ключ"], response)
    again = msgspec.json.decode(input_required.retry(msgspec.json.encode(body), "r", asked, {"ключ": said}))

    assert again["id"] == "r"
    assert again["params"].pop("inputResponses") == {"ключ": answer}
    assert again["params"].pop("requestState") == state
    assert {**again, "id": 4} == body


def test_each_round_has_its_own_input_alone() -> None:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": "e"}})
    first = input_required.retry(body, 5, _wanted(requestState="one"), {"a": msgspec.Raw(b"{}")})

    second = msgspec.json.decode(input_required.retry(first, 6, _wanted(inputRequests={"b": _FORM}), {}))

    assert second["params"] == {"name": "e"}


@pytest.mark.parametrize("response", [
    b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"\\"input_required\\""}]}}',
    b'{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","x":"input_required"}}',
    b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"input_required","data":"input_required"}}',
])
def test_a_result_that_only_speaks_of_it_is_a_result(response: bytes) -> None:
    assert input_required.parse(response) is None


@pytest.mark.parametrize("result", [
    {}, {"inputRequests": {}}, {"inputRequests": 1}, {"inputRequests": {"a": 1}}, {"inputRequests": {"a": {}}},
    {"inputRequests": {"a": {"method": "ping"}}}, {"inputRequests": {"a": {"method": "roots/list", "params": []}}},
    {"inputRequests": {str(number): _FORM for number in range(17)}},
])
def test_what_cannot_be_understood_is_the_servers_fault(result: dict[str, Any]) -> None:
    with pytest.raises(UpstreamDown):
        input_required.parse(_response(**result))


@pytest.mark.parametrize(("asked", "declared", "lacks"), [
    (_FORM, {"elicitation": {"form": {}}}, None),
    (_FORM, {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
    (_URL, {"elicitation": {"form": {}, "url": {}}}, None),
    (_URL, {"elicitation": {"form": {}}}, {"elicitation": {"url": {}}}),
    ({"method": "roots/list"}, {}, {"roots": {}}),
    ({"method": "sampling/createMessage", "params": {"toolChoice": {}}}, {"sampling": {}}, {"sampling": {"tools": {}}}),
    ({"method": "sampling/createMessage", "params": {"x": 1}}, {"sampling": {}}, None),
])
def test_a_missing_capability_is_named_as_the_revision_prescribes(
    asked: dict[str, Any], declared: dict[str, Any], lacks: dict[str, Any] | None
) -> None:
    wanted = _wanted(inputRequests={"a": asked})

    if lacks is None:
        wanted.check(declared)
    else:
        with pytest.raises(MissingCapability) as refused:
            wanted.check(declared)
        assert refused.value.details == {"requiredCapabilities": lacks}


def test_a_form_names_its_mode_only_to_clients_that_know_modes() -> None:
    form = _question({**_FORM, "params": {**_FORM["params"], "mode": "form"}})

    newer, older = (msgspec.json.decode(input_required.legacy_request(form, "q", version))["params"]
                    for version in ("2025-11-25", "2025-06-18"))

    assert newer["mode"] == "form"
    assert "mode" not in older


def test_a_url_has_the_id_that_its_end_names() -> None:
    asked = msgspec.json.decode(input_required.legacy_request(_question(_URL), "longshore-x", "2025-11-25"))
    done = msgspec.json.decode(input_required.elicitation_complete("longshore-x"))

    assert asked["params"] == {**_URL["params"], "elicitationId": "longshore-x"}
    assert done["params"] == {"elicitationId": asked["params"]["elicitationId"]}


@pytest.mark.parametrize("response", [
    b'{"id":"q","error":{"code":-1,"message":"no"}}', b'{"id":"q","result":[]}', b'{"id":"q","result":null}',
    b'{"id":"q","error":1}',
])
def test_an_error_response_is_not_an_input_response(response: bytes) -> None:
    with pytest.raises(InputMissing):
        input_required.input_response(_question(_FORM), response)


@pytest.mark.parametrize(("params", "kept"), [
    ({"name": "e", "requestState": "s", "inputResponses": {}}, {"name": "e"}),
    ({"name": "e", "arguments": {"requestState": "s"}}, {"name": "e", "arguments": {"requestState": "s"}}),
])
def test_retry_fields_of_legacy_clients_are_removed(params: dict[str, Any], kept: dict[str, Any]) -> None:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})

    assert msgspec.json.decode(input_required.without_retry_fields(body))["params"] == kept
