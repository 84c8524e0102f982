"""`Mcp-Param-*` headers: tool arguments that a tool's schema declares as mirrored (`x-mcp-header`). Pure.

MCP 2026-07-28 server/tools and basic/transports/streamable-http §Custom Headers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from multidict import MultiMapping

from longshore.gateway.wire import header_values
from longshore.gateway.wire.protocol_errors import HeaderMismatch

PREFIX = "Mcp-Param-"
KEY = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TYPES = frozenset({"string", "integer", "boolean"})
# Keywords of JSON Schema 2020-12 that hold subschemas, besides `properties`. A declaration there is an error.
_ONE = ("items", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "propertyNames",
        "not", "if", "then", "else", "contentSchema")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("patternProperties", "dependentSchemas", "$defs", "definitions")


@dataclass(frozen=True, slots=True)
class MirroredArgument:
    """Tool argument that is mirrored in a header."""

    path: tuple[str, ...]    # the properties that lead to it
    header: str              # the whole name
    is_integer: bool = False


def mirrored_arguments(schema: Any) -> list[MirroredArgument] | None:
    """Read the mirrored arguments from a tool's `inputSchema`; None if a declaration is malformed, since clients must
    not use such a tool."""
    found: list[MirroredArgument] = []
    seen: set[str] = set()
    for path, node in subschemas(schema):
        if KEY not in node:
            continue
        token, kind = node[KEY], node.get("type")
        if not path or not isinstance(token, str) or not _TOKEN.fullmatch(token):
            return None
        if not isinstance(kind, str) or kind not in _TYPES or token.lower() in seen:
            return None
        seen.add(token.lower())
        found.append(MirroredArgument(path, PREFIX + token, is_integer=kind == "integer"))
    return found


def headers_of(mirrored: Iterable[MirroredArgument], arguments: Mapping[str, Any]) -> dict[str, str]:
    """Build the headers of a call with these arguments; none for an argument that is absent, null or not a scalar."""
    headers = {}
    for one in mirrored:
        text = _text(_argument_at(arguments, one.path))
        if text is not None:
            headers[one.header] = header_values.encode(text)
    return headers


def check(mirrored: Iterable[MirroredArgument], arguments: Mapping[str, Any], headers: MultiMapping[str]) -> None:
    """Raise HeaderMismatch unless headers and arguments agree: each given argument has exactly one header with the
    same value, and no other has one (MCP 2026-07-28 basic/transports/streamable-http §Server Behavior for Custom
    Headers)."""
    for one in mirrored:
        values, value = headers.getall(one.header, ()), _argument_at(arguments, one.path)
        expected = _text(value)
        if not values:
            if expected is not None:
                raise HeaderMismatch(f"the header {one.header} is missing, whose argument is in the body")
            continue
        if len(values) > 1:
            raise HeaderMismatch(f"the header {one.header} is there twice")
        text = header_values.decode(values[0])
        if text is None:
            raise HeaderMismatch(f"the value of the header {one.header} is malformed")
        if expected is None or not (text == expected or (one.is_integer and _is_number(text, value))):
            raise HeaderMismatch(f"the header {one.header} and the argument in the body differ")


def _is_number(text: str, value: Any) -> bool:
    """True if the text is the same whole number, as `42.0` and 42 are."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (found := _DECIMAL.fullmatch(text)):
        return False
    try:
        return int(found[1]) == value
    except ValueError:       # more digits than Python reads
        return False


_DECIMAL = re.compile(r"(-?[0-9]+)(?:\.0+)?")


def _argument_at(arguments: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(arguments, Mapping):
            return None
        arguments = arguments.get(name)
    return arguments


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        return None
    try:
        return str(value)
    except ValueError:       # more digits than Python writes
        return None


def subschemas(schema: Any) -> Iterator[tuple[tuple[str, ...] | None, dict[str, Any]]]:
    """Yield every schema in `schema` with its property path; None if it is reached through another keyword."""
    left: list[tuple[tuple[str, ...] | None, Any]] = [((), schema)]
    while left:
        path, node = left.pop()
        if not isinstance(node, dict):
            continue
        yield path, node
        properties = node.get("properties")
        if isinstance(properties, dict):
            left += [(None if path is None else (*path, name), below) for name, below in properties.items()]
        left += [(None, node[key]) for key in _ONE if key in node]
        left += [(None, below) for key in _LISTS if isinstance(node.get(key), list) for below in node[key]]
        left += [(None, below) for key in _MAPS if isinstance(node.get(key), dict) for below in node[key].values()]
