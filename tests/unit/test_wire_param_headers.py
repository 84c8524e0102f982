"""Arguments mirrored in headers, mismatches, and tool lists with malformed declarations."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from longshore.gateway.wire import jsonrpc, param_headers, to_legacy, to_modern
from longshore.gateway.wire.protocol_errors import HeaderMismatch

_REGION = {"type": "string", "x-mcp-header": "Region"}


@pytest.mark.requirement("modern.client-encodes")
def test_arguments_are_mirrored_as_the_schema_declares() -> None:
    schema = {"type": "object", "properties": {
        "region": _REGION,
        "deep": {"type": "object", "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}}},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "absent": {"type": "string", "x-mcp-header": "Absent"},
    }}
    wanted = param_headers.mirrored_arguments(schema)
    assert wanted is not None

    headers = param_headers.headers_of(wanted, {"region": " eu", "deep": {"dry": True}, "count": 7, "absent": None})

    assert headers == {"Mcp-Param-Region": "=?base64?IGV1?=", "Mcp-Param-Dry": "true", "Mcp-Param-Count": "7"}


@pytest.mark.requirement("modern.client-rejects")
@pytest.mark.parametrize(
    "schema",
    [
        {"x-mcp-header": "Root", "type": "object"},
        {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}},
        {"properties": {"a": {"x-mcp-header": "A"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "no token"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": 7}}},
        {"properties": {"a": {"type": "array", "items": _REGION}}},
        {"properties": {"a": _REGION, "b": {"type": "string", "x-mcp-header": "rEGION"}}},
        {"anyOf": [{"properties": {"a": _REGION}}]},
    ],
)
def test_a_schema_that_breaks_a_rule_mirrors_nothing(schema: Any) -> None:
    assert param_headers.mirrored_arguments(schema) is None


_WANTED = param_headers.mirrored_arguments({"type": "object", "properties": {
    "region": _REGION,
    "count": {"type": "integer", "x-mcp-header": "Count"},
    "deep": {"type": "object", "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}}},
}}) or []


@pytest.mark.requirement("modern.param-null", "modern.param-unknown")
@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({}, {}),
        ({"region": None, "deep": {}}, {}),
        ({"region": "eu"}, {"mcp-param-region": "eu"}),
        ({"region": "eu"}, {"Mcp-Param-Region": "=?base64?ZXU=?="}),
        ({"region": "größe"}, {"Mcp-Param-Region": "=?base64?Z3LDtsOfZQ==?="}),
        ({"region": "=?BASE64?ZXU=?="}, {"Mcp-Param-Region": "=?BASE64?ZXU=?="}),
        ({"region": ""}, {"Mcp-Param-Region": ""}),
        ({"count": 42}, {"Mcp-Param-Count": "42.0"}),
        ({"count": 42.0}, {"Mcp-Param-Count": "42"}),
        ({"count": -7}, {"Mcp-Param-Count": "-7"}),
        ({"deep": {"dry": False}}, {"Mcp-Param-Dry": "false"}),
        ({"region": ["eu"]}, {}),
        ({"region": "eu"}, {"Mcp-Param-Region": "eu", "Mcp-Param-Unknown": "anything"}),
    ],
)
def test_headers_that_say_what_the_arguments_do_are_taken(
    arguments: dict[str, Any], headers: dict[str, str]
) -> None:
    param_headers.check(_WANTED, arguments, CIMultiDict(headers))


@pytest.mark.requirement("modern.param-match")
@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "eu"}, []),
        ({"region": "eu"}, [("Mcp-Param-Region", "us")]),
        ({"region": "eu"}, [("Mcp-Param-Region", "EU")]),
        ({"region": "eu"}, [("Mcp-Param-Region", "eu"), ("mcp-param-region", "eu")]),
        ({"region": "eu"}, [("Mcp-Param-Region", "=?base64?ZXU?=")]),
        ({"region": "eu"}, [("Mcp-Param-Region", "=?base64?ZXV=?=")]),
        ({"region": "größe"}, [("Mcp-Param-Region", "größe")]),
        ({}, [("Mcp-Param-Region", "eu")]),
        ({"region": None}, [("Mcp-Param-Region", "null")]),
        ({"region": ["eu"]}, [("Mcp-Param-Region", "eu")]),
        ({"count": 42}, [("Mcp-Param-Count", "42.5")]),
        ({"count": 42}, [("Mcp-Param-Count", "4.2e1")]),
        ({"count": True}, [("Mcp-Param-Count", "1")]),
        ({"count": 9007199254740993}, [("Mcp-Param-Count", "9007199254740992")]),
        ({"deep": {"dry": True}}, [("Mcp-Param-Dry", "True")]),
        ({"deep": {"dry": True}}, []),
    ],
)
def test_headers_that_say_other_than_the_arguments_are_refused(
    arguments: dict[str, Any], headers: list[tuple[str, str]]
) -> None:
    with pytest.raises(HeaderMismatch):
        param_headers.check(_WANTED, arguments, CIMultiDict(headers))


_SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=1)


@given(st.fixed_dictionaries({}, optional={"region": _SCALARS, "count": _SCALARS}))
def test_what_is_mirrored_from_arguments_agrees_with_them(arguments: dict[str, Any]) -> None:
    param_headers.check(_WANTED, arguments, CIMultiDict(param_headers.headers_of(_WANTED, arguments)))


_GOOD = {"name": "good", "inputSchema": {"type": "object", "properties": {"region": _REGION}}}
_BAD = {
    "name": "bad",
    "inputSchema": {"type": "object", "properties": {"n": {"type": "number", "x-mcp-header": "N", "title": "n"}}},
    "x/own": {"x-mcp-header": "kept"},
}
_LISTED: dict[str, Any] = {"tools": [_GOOD, _BAD, {"name": "plain", "inputSchema": {"type": "object"}}], "x/more": 1}


def _tools(response: bytes) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = msgspec.json.decode(response)["result"]["tools"]
    return tools


def test_a_tool_that_no_client_may_use_is_not_listed_to_clients_with_a_session() -> None:
    tools = _tools(to_modern.response(jsonrpc.result(1, _LISTED), "tools/list"))

    assert tools == [_GOOD, _LISTED["tools"][2]]


def test_an_annotation_that_breaks_a_rule_is_taken_from_a_tool_of_the_session_era() -> None:
    """A legacy server expects no header: without the declaration modern clients may use the tool."""
    tools = _tools(to_legacy.response(jsonrpc.result(1, _LISTED), 1, "tools/list"))

    schema = {"type": "object", "properties": {"n": {"type": "number", "title": "n"}}}
    assert tools == [_GOOD, {**_BAD, "inputSchema": schema}, _LISTED["tools"][2]]
