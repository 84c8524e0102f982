"""Headers of the modern revision: their encoding, and their comparison with the body."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from longshore.gateway.wire import envelope as wire
from longshore.gateway.wire import header_values, modern
from longshore.gateway.wire.protocol_errors import HeaderMismatch, InvalidParams, UnsupportedVersion
from longshore.shared.errors import BadRequest, LongshoreError

_META = {modern.PROTOCOL_KEY: modern.VERSION, modern.CAPABILITIES_KEY: {}}
_CALL = {"MCP-Protocol-Version": modern.VERSION, "Mcp-Method": "tools/call", "Mcp-Name": "echo"}


def _opened(headers: Any, *, meta: Any = _META, method: str = "tools/call", **params: Any) -> modern.ModernRequest:
    if meta is not None:
        params["_meta"] = meta
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return modern.parse_request(wire.parse(body), body, CIMultiDict(headers))


@given(st.text())
def test_any_text_travels_in_a_header_and_comes_back(text: str) -> None:
    value = header_values.encode(text)

    assert header_values.decode(value) == text
    assert value.isascii()
    assert value == value.strip()
    assert not any(char < " " or char == "\x7f" for char in value)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7e)))
def test_plain_text_travels_as_it_is_unless_it_looks_marked(text: str) -> None:
    if not text.startswith("=?base64?"):
        assert header_values.encode(text) == text


@given(st.text(st.characters(max_codepoint=0x7f)).map(lambda text: f"=?base64?{text}?="))
def test_a_marked_value_has_one_form_or_none(value: str) -> None:
    text = header_values.decode(value)

    if text is not None:
        assert f"=?base64?{base64.b64encode(text.encode()).decode()}?=" == value


def test_a_request_whose_headers_agree_is_accepted() -> None:
    opened = _opened(_CALL, meta={**_META, modern.WORKSPACE_KEY: "blue"}, name="echo")

    assert (bytes(opened.capabilities), opened.workspace) == (b"{}", "blue")


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"MCP-Protocol-Version": None}, "echo"),
        ({"MCP-Protocol-Version": "2025-11-25"}, "echo"),
        ({"MCP-Protocol-Version": "2027-01-01"}, "echo"),
        ({"Mcp-Method": None}, "echo"),
        ({"Mcp-Method": "tools/list"}, "echo"),
        ({"Mcp-Method": "TOOLS/CALL"}, "echo"),
        ({"Mcp-Name": None}, "echo"),
        ({"Mcp-Name": "Echo"}, "echo"),
        ({"Mcp-Name": "=?base64?ZWNob?="}, "echo"),
        ({"Mcp-Name": "=?base64?ZWNobx==?="}, "echo"),
        ({"Mcp-Name": "echo"}, "=?base64?ZWNobw==?="),
        ({"Mcp-Name": "größe"}, "größe"),
        ({"Mcp-Name": "ec\x7fho"}, "ec\x7fho"),
    ],
)
def test_headers_that_say_other_than_the_body_are_refused(changed: dict[str, str | None], name: str) -> None:
    headers = {key: value for key, value in {**_CALL, **changed}.items() if value is not None}

    with pytest.raises(HeaderMismatch):
        _opened(headers, name=name)


def test_a_mirroring_header_that_is_there_twice_is_refused() -> None:
    headers = CIMultiDict([*_CALL.items(), ("mcp-name", "echo")])

    with pytest.raises(HeaderMismatch, match="twice"):
        _opened(headers, name="echo")


def test_the_sentinel_form_of_a_name_is_as_good_as_the_name() -> None:
    _opened({**_CALL, "Mcp-Name": header_values.encode("größe")}, name="größe")
    _opened({**_CALL, "Mcp-Name": "=?base64?ZWNobw==?="}, name="echo")


@pytest.mark.parametrize("meta", [None, 7, {}, {modern.PROTOCOL_KEY: modern.VERSION}, {modern.CAPABILITIES_KEY: {}}])
def test_missing_meta_is_reported_before_mismatched_headers(meta: Any) -> None:
    with pytest.raises(InvalidParams):
        _opened({}, meta=meta, name="echo")


def test_an_unknown_revision_is_refused_with_the_supported_ones() -> None:
    meta = {**_META, modern.PROTOCOL_KEY: "2031-01-01"}

    with pytest.raises(UnsupportedVersion) as caught:
        _opened({**_CALL, "MCP-Protocol-Version": "2031-01-01"}, meta=meta, name="echo")

    assert caught.value.code == modern.UNSUPPORTED_VERSION
    assert caught.value.details == {"supported": [modern.VERSION], "requested": "2031-01-01"}


def test_a_response_is_refused() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"result":{}}'

    with pytest.raises(BadRequest, match="inputResponses"):
        modern.parse_request(wire.parse(body), body, CIMultiDict(_CALL))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from([modern.PROTOCOL_KEY, modern.CAPABILITIES_KEY, "_meta", "name"]) | st.text(), inner
    ), max_leaves=8,
)


@given(_JSON, st.dictionaries(st.sampled_from([*_CALL, "Mcp-Param-X"]), st.text()))
def test_any_input_is_accepted_or_refused_within_the_error_family(params: Any, headers: dict[str, str]) -> None:
    body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})

    try:
        modern.parse_request(wire.parse(body), body, CIMultiDict(headers))
    except LongshoreError as err:
        assert err.status == 400
