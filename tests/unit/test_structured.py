"""Long texts in structured content that may be replaced."""

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.gateway.files import structured
from longshore.shared.clock import monotonic_s

_LONG = "x" * 100
_TEXT = {"type": "string", "title": "T", "description": "any text"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _found(value: Any, schema: dict[str, Any]) -> list[Any]:
    return [slot.key for slot in structured.replaceable_texts(value, schema, 50)]


@pytest.mark.parametrize(
    "value, schema, keys",
    [
        ({"result": _LONG}, _object(result=_TEXT), ["result"]),
        ({"result": "short"}, _object(result=_TEXT), []),
        ({"result": _LONG}, {"type": "object"}, ["result"]),
        ({"result": _LONG}, {}, ["result"]),
        ({"a": _LONG, "b": _LONG}, _object(a=_TEXT) | {"additionalProperties": False}, ["a"]),
        ({"b": _LONG}, {"additionalProperties": {"type": "string"}}, ["b"]),
        ({"a": _LONG}, _object(a={"anyOf": [{"type": "string"}, {"type": "null"}]}), ["a"]),
        ({"a": _LONG}, _object(a={"type": ["string", "null"]}), ["a"]),
        ({"a": [_LONG, 7]}, _object(a={"type": "array", "items": {"type": "string"}}), [0]),
        ({"a": [{"b": _LONG}]}, _object(a={"type": "array", "items": _object(b=_TEXT)}), ["b"]),
        ({"a": {"b": _LONG}}, _object(a={"$ref": "#/$defs/x~1y"}) | {"$defs": {"x/y": _object(b=_TEXT)}}, ["b"]),
        # Where the schema says more of it, or of what is around it:
        ({"a": _LONG}, _object(a={"type": "string", "pattern": "x+"}), []),
        ({"a": _LONG}, _object(a={"type": "string", "minLength": 90}), []),
        ({"a": _LONG}, _object(a={"type": "string", "format": "uri"}), []),
        ({"a": _LONG}, _object(a={"enum": [_LONG]}), []),
        ({"a": _LONG}, _object(a={"const": _LONG}), []),
        ({"a": _LONG}, _object(a={"oneOf": [_TEXT, {"const": "y"}]}), []),
        ({"a": _LONG}, _object(a={"$ref": "#/missing"}), []),
        ({"a": _LONG}, _object(a={"$ref": "https://example.org/schema"}), []),
        ({"a": _LONG}, _object(a=_TEXT) | {"not": {}}, []),
        ({"a": _LONG}, _object(a=_TEXT) | {"allOf": [{}]}, []),
        ({"a": [_LONG]}, _object(a={"type": "array", "uniqueItems": True}), []),
        ({"a": {"b": _LONG}}, _object(a={"anyOf": [_object(b=_TEXT), _object(b={"const": _LONG})]}), []),
        # Of another shape than the schema says, or no schema at all:
        ([_LONG], _object(a=_TEXT), []),
        (_LONG, {"type": "string"}, []),
        ({"a": _LONG}, {"properties": 7}, []),
        ({"a": _LONG}, _object(a=7), []),
        ({"a": _LONG}, _object(a={"anyOf": 7}), []),
        ({"a": _LONG}, _object(a={"$ref": 7}), []),
    ],
)
def test_where_another_text_may_stand(value: Any, schema: dict[str, Any], keys: list[Any]) -> None:
    assert _found(value, schema) == keys


@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
def test_schemas_that_lead_to_themselves_end(word: str) -> None:
    loop: dict[str, Any] = _object(a={"$ref": "#/$defs/a"})
    loop["$defs"] = {"a": {word: [{"$ref": "#/$defs/a"}] * 50}}
    started_s = monotonic_s()

    assert _found({"a": _LONG}, loop) == []
    assert monotonic_s() - started_s < 5


_texts = st.sampled_from(["a", _LONG])
_values = st.recursive(
    _texts | st.integers() | st.none(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
)
_leaves = st.sampled_from([
    {}, True, _TEXT, {"type": ["string", "null"]}, {"type": "string", "minLength": 50}, {"type": "integer"},
    {"const": _LONG}, {"$ref": "#/$defs/s"}, {"not": {"type": "integer"}}, {"type": "array", "uniqueItems": True},
])
_schemas = st.recursive(
    _leaves,
    lambda below: st.one_of(
        st.fixed_dictionaries({"items": below, "type": st.just("array")}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), below, max_size=3)}),
        st.fixed_dictionaries({"additionalProperties": below, "type": st.just("object")}),
        *(st.fixed_dictionaries({w: st.lists(below, min_size=1, max_size=3)}) for w in ("anyOf", "oneOf", "allOf")),
        st.fixed_dictionaries({"patternProperties": st.fixed_dictionaries({"a": below})}),
    ),
    max_leaves=8,
)


@given(_values, _schemas)
def test_what_was_valid_stays_valid(value: Any, schema: Any) -> None:
    root = {**(schema if isinstance(schema, dict) else {}), "$defs": {"s": _TEXT}}
    validator = jsonschema.Draft202012Validator(root)
    was_valid = validator.is_valid(value)

    for slot in structured.replaceable_texts(value, root, 50):
        slot.fill("short")

    assert validator.is_valid(value) or not was_valid
