"""Capabilities that legacy clients declare, in their modern form."""

from typing import Any

import msgspec
import pytest

from longshore.gateway.wire.declared_client import parse_initialize


def _params(capabilities: Any, **more: Any) -> bytes:
    return msgspec.json.encode({"protocolVersion": "2025-11-25", "capabilities": capabilities, **more})


@pytest.mark.parametrize(("protocol", "said", "told"), [
    ("2025-11-25", {"elicitation": {}}, {"elicitation": {"form": {}}}),
    ("2025-11-25", {"elicitation": {"form": {}, "url": {}, "x": 1}}, {"elicitation": {"form": {}, "url": {}}}),
    ("2025-06-18", {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
    ("2025-11-25", {"sampling": {"tools": {}, "context": {}}}, {"sampling": {"tools": {}, "context": {}}}),
    ("2025-06-18", {"sampling": {"tools": {}}}, {"sampling": {}}),
    ("2024-11-05", {"roots": {"listChanged": True}, "tasks": {}}, {"roots": {}}),
    ("2025-11-25", {"extensions": {"a.example/x": {}}}, {}),
    ("2025-11-25", {"experimental": {"x": {}}}, {"experimental": {"x": {}}}),
    ("2025-11-25", {}, {}),
])
def test_capabilities_are_declared_as_far_as_the_revision_has_them(
    protocol: str, said: dict[str, Any], told: dict[str, Any]
) -> None:
    assert parse_initialize(_params(said), protocol, accepts_requests=True).capabilities == told


def test_a_client_without_a_stream_declares_no_input_capabilities() -> None:
    said: dict[str, Any] = {"elicitation": {}, "sampling": {}, "roots": {}, "experimental": {"x": {}}}

    found = parse_initialize(_params(said), "2025-11-25", accepts_requests=False)

    assert found.capabilities == {"experimental": {"x": {}}}


def test_who_the_client_is_keeps_its_bytes() -> None:
    params = b'{"clientInfo": {"name":"a",  "x":1.0}, "capabilities": {}}'

    assert bytes(parse_initialize(params, "2025-11-25", accepts_requests=True).info) == b'{"name":"a",  "x":1.0}'


@pytest.mark.parametrize("params", [b"", b"[]", b"{", b'{"capabilities": []}', b'{"capabilities": {"roots": 1}}'])
def test_parameters_that_say_nothing_declare_nothing(params: bytes) -> None:
    found = parse_initialize(params, "2025-11-25", accepts_requests=True)

    assert (bytes(found.info), found.capabilities) == (b"", {})
