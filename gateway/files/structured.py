"""Long texts in structured content that can be replaced without violating the tool's output schema. Pure.

Only schemas of types and property names are followed (JSON Schema 2020-12). A text stays if the schema restricts it, or
its surroundings, in any other way.
"""

from collections.abc import Iterator
from typing import Any

from longshore.gateway.files.slots import Slot

_NOTES = frozenset({
    "title", "description", "default", "examples", "deprecated", "readOnly", "$comment", "$schema", "$id", "$defs",
    "definitions",
})
_FOLLOWED = _NOTES | {"type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems"}
_PLAIN = _NOTES | {"type"}
_MAX_VALUES = 10_000
_MAX_CHOICES = 100           # for one value, references included
_UNKNOWN: dict[str, Any] = {"not": {}}       # a schema that is not followed

Schema = dict[str, Any] | bool


def replaceable_texts(value: Any, schema: dict[str, Any], limit_chars: int) -> Iterator[Slot]:
    """Yield the texts of more than `limit_chars` that any other text may replace; the search stops after
    `_MAX_VALUES` values."""
    left: list[tuple[Any, list[Schema]]] = [(value, _choices([schema], schema))]
    for _ in range(_MAX_VALUES):
        if not left:
            return
        holder, about = left.pop()
        for key, offered in _below(holder, about):
            found = holder[key]
            if isinstance(found, (dict, list)):
                left.append((found, _choices(offered, schema)))
            elif isinstance(found, str) and len(found) > limit_chars and _is_any_text(_choices(offered, schema)):
                yield Slot(holder, key)


def _below(holder: Any, choices: list[Schema]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield the keys of a dict or list, each with the schemas of its value; none if the schema is not followed."""
    if not isinstance(holder, (dict, list)):
        return
    kind = "object" if isinstance(holder, dict) else "array"
    fitting = [choice for choice in choices if _accepts(choice, kind)]
    if len(fitting) != 1:        # of several, another one may apply once a text is replaced
        return
    about = fitting[0]
    if isinstance(about, bool):
        about = {}
    if not about.keys() <= _FOLLOWED:
        return
    if isinstance(holder, dict):
        named, others = about.get("properties", {}), about.get("additionalProperties", True)
        for key in holder:
            yield key, [named.get(key, others) if isinstance(named, dict) else False]
    else:
        for index in range(len(holder)):
            yield index, [about.get("items", True)]


def _choices(schemas: list[Any], root: dict[str, Any]) -> list[Schema]:
    """Expand references, `anyOf` and `oneOf` into the list of possible schemas."""
    left, found = list(reversed(schemas)), list[Schema]()
    for _ in range(_MAX_CHOICES):
        if not left:
            return found
        schema = left.pop()
        if isinstance(schema, bool):
            found.append(schema)
        elif not isinstance(schema, dict):
            found.append(_UNKNOWN)
        elif "$ref" in schema and schema.keys() <= _NOTES | {"$ref"}:
            left.append(_at(root, schema["$ref"]))
        elif (word := _choosing(schema)) is not None:
            left += reversed(schema[word])
        else:
            found.append(schema)
    return [_UNKNOWN]


def _choosing(schema: dict[str, Any]) -> str | None:
    """Return `anyOf` or `oneOf` if the schema has nothing else but notes."""
    for word in ("anyOf", "oneOf"):
        if isinstance(schema.get(word), list) and schema.keys() <= _NOTES | {word}:
            return word
    return None


def _at(root: dict[str, Any], reference: Any) -> Any:
    """Resolve a reference within the schema (RFC 6901)."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _is_any_text(choices: list[Schema]) -> bool:
    fitting = [choice for choice in choices if _accepts(choice, "string")]
    return bool(fitting) and all(choice is True or choice.keys() <= _PLAIN for choice in fitting)  # type: ignore[union-attr]


def _accepts(schema: Schema, kind: str) -> bool:
    if isinstance(schema, bool):
        return schema
    types = schema.get("type", kind)
    return kind == types or (isinstance(types, list) and kind in types)
