"""What all three signals' messages hold: attributes, who sends, and whose instruments they are."""

from collections.abc import Iterable, Mapping

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

SCOPE = InstrumentationScope(name="longshore")

_MOST = 2**63       # an int64 ends there


def resource(attributes: Mapping[str, str]) -> Resource:
    """Who sends."""
    return Resource(attributes=pairs(attributes.items()))


def pairs(attributes: Iterable[tuple[str, object]]) -> list[KeyValue]:
    """Attributes of plain values, lists and mappings of such; what is None is left out."""
    return [KeyValue(key=name, value=_value(value)) for name, value in attributes if value is not None]


def _value(value: object) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and -_MOST <= value < _MOST:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    made = AnyValue()
    if isinstance(value, Mapping):
        made.kvlist_value.values.extend(pairs((str(name), item) for name, item in value.items()))
    elif isinstance(value, list | tuple):
        made.array_value.values.extend(_value(item) for item in value)
    elif value is not None:
        made.string_value = str(value)
    return made
