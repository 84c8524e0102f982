"""Conversion of legacy messages to the modern revision, and back."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.gateway.wire import result_fields, to_legacy, to_modern
from longshore.gateway.wire.declared_client import DeclaredClient
from longshore.gateway.wire.jsonrpc import open_object, raw
from longshore.shared.errors import UpstreamDown

_NOBODY = DeclaredClient(msgspec.Raw(), {})
_keys = st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda key: not key.startswith("io."))
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3), max_leaves=4,
)
_members = st.dictionaries(_keys, _values, max_size=4)


@given(_members, st.dictionaries(_keys, _values, min_size=1, max_size=3), st.sampled_from(["", "debug"]))
def test_a_request_there_and_back_is_the_same(params: dict[str, Any], meta: dict[str, Any], level: str) -> None:
    message = {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {**params, "_meta": meta}}

    there = to_modern.request(msgspec.json.encode(message), _NOBODY, log_level=level)

    assert msgspec.json.decode(to_legacy.request(there, 4)) == message


@given(_members, st.sampled_from(["tools/call", "tools/list", "resources/read"]))
def test_a_result_there_and_back_is_the_same(result: dict[str, Any], method: str) -> None:
    said = {key: value for key, value in result.items() if key not in ("resultType", "ttlMs", "cacheScope", "_meta")}
    completed = result_fields.to_modern(open_object(msgspec.json.encode(said)), method)
    message = msgspec.json.encode({"jsonrpc": "2.0", "id": 4, "result": completed})

    assert msgspec.json.decode(to_modern.response(message, method))["result"] == said


@given(_members, st.dictionaries(_keys, _values, max_size=3))
def test_server_info_is_only_in_modern_results(
    result: dict[str, Any], meta: dict[str, Any]
) -> None:
    """Other keys of `_meta` stay."""
    said = {key: value for key, value in result.items() if key not in ("resultType", "ttlMs", "cacheScope", "_meta")}
    said |= {"_meta": meta} if meta else {}
    answer = msgspec.json.encode({"jsonrpc": "2.0", "id": 4, "result": said})

    there = to_legacy.response(answer, 4, "tools/call", to_legacy.TranslationContext(b'{"name":"a"}'))

    found = msgspec.json.decode(there)["result"]
    assert found["_meta"] == {**meta, "io.modelcontextprotocol/serverInfo": {"name": "a"}}
    assert msgspec.json.decode(to_modern.response(there, "tools/call"))["result"] == said


@given(st.sampled_from(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]))
def test_the_revision_of_a_session_is_the_requested_one(version: str) -> None:
    assert to_modern.agreed_version(msgspec.json.encode({"protocolVersion": version})) == version


@pytest.mark.parametrize("params", [b"{}", b'{"protocolVersion":"2026-07-28"}', b'{"protocolVersion":7}', b"[]"])
def test_a_revision_without_sessions_becomes_the_last_one_with(params: bytes) -> None:
    assert to_modern.agreed_version(params) == "2025-11-25"


@pytest.mark.parametrize(("method", "data", "code"), [
    ("resources/read", {"uri": "sea://chart"}, -32002),
    ("resources/read", {}, -32602),
    ("tools/call", {"uri": "sea://chart"}, -32602),
])
def test_a_missing_resource_has_the_code_of_the_session_era(method: str, data: dict[str, Any], code: int) -> None:
    """Invalid parameters have the same code in both eras and keep it."""
    error = {"code": -32602, "message": "no", "data": data}
    message = msgspec.json.encode({"jsonrpc": "2.0", "id": 4, "error": error})

    assert msgspec.json.decode(to_modern.response(message, method))["error"] == {**error, "code": code}


def test_input_required_is_an_error_for_other_methods() -> None:
    message = msgspec.json.encode({"jsonrpc": "2.0", "id": 4, "result": {"resultType": "input_required"}})

    with pytest.raises(UpstreamDown):
        to_modern.response(message, "prompts/get")


def test_the_servers_own_keys_of_the_hop_are_left_out() -> None:
    meta = {"io.modelcontextprotocol/serverInfo": {"name": "a"}, "x": 1}
    result = {"resultType": "complete", "content": raw([]), "_meta": meta}
    message = msgspec.json.encode({"jsonrpc": "2.0", "id": 4, "result": result})

    found = msgspec.json.decode(to_modern.response(message, "tools/call"))

    assert found["result"] == {"content": [], "_meta": {"x": 1}}
