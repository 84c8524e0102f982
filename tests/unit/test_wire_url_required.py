"""Pages that legacy servers require first, requested in the modern form."""

from typing import Any

import msgspec
import pytest

from longshore.gateway.wire import url_required

_PAGE = {"mode": "url", "elicitationId": "e1", "url": "https://a.example/x", "message": "log in"}


def _error(data: Any, code: int = -32042) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"code": code, "message": "no", "data": data}))


def test_pages_become_questions_without_their_ids() -> None:
    found = url_required.input_required(_error({"elicitations": [_PAGE, {**_PAGE, "elicitationId": "e2", "url": "https://b"}]}))

    asked = {"mode": "url", "message": "log in"}
    assert found == {"resultType": "input_required", "inputRequests": {
        "url e1": {"method": "elicitation/create", "params": {**asked, "url": "https://a.example/x"}},
        "url e2": {"method": "elicitation/create", "params": {**asked, "url": "https://b"}},
    }}


@pytest.mark.parametrize("error", [
    _error({"elicitations": [_PAGE]}, -32603), _error({"elicitations": []}), _error({}), _error([]), _error(None),
    _error({"elicitations": [{"mode": "form"}]}), _error({"elicitations": [{**_PAGE, "mode": "form"}]}),
    msgspec.Raw(b"[]"), msgspec.Raw(b'{"code":-32042}'),
])
def test_an_error_that_names_no_page_asks_nothing(error: msgspec.Raw) -> None:
    assert url_required.input_required(error) is None


@pytest.mark.parametrize(("responses", "is_refused"), [
    ({"url e1": {"action": "accept"}}, False), ({"url e1": {"action": "accept"}, "url e2": {"action": "cancel"}}, True),
    ({"url e1": {}}, True), ({"own": {"action": "decline"}}, False), ({}, False),
])
def test_a_declined_page_is_recognised(responses: dict[str, Any], is_refused: bool) -> None:
    given = {key: msgspec.Raw(msgspec.json.encode(said)) for key, said in responses.items()}

    assert url_required.is_declined(given) is is_refused
