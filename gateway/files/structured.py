"""Long texts in structured content for which others may stand: the tool's output schema holds as before. Pure.

A schema is followed where it says nothing but types and names (JSON Schema 2020-12); where it says more of a text
than that it is one, or more of what is around it, the text stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_NOTES = frozenset({
    "title", "description", "default", "examples", "deprecated", "readOnly", "$comment", "$schema", "$id", "$defs",
    "definitions",
})
_FOLLOWED = _NOTES | {"type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems"}
_PLAIN = _NOTES | {"type"}
_MAX_VALUES = 10_000
_MAX_CHOICES = 100          # for one value, and references on the way to them
_UNKNOWN: dict[str, Any] = {"not": {}}       # a schema that is not followed

Schema = dict[str, Any] | bool


@dataclass(frozen=True, slots=True)
class TextSlot:
    """Where a long text stands."""

    holder: dict[str, Any] | list[Any]
    key: Any                 # of the dict, or the index in the list
    text: str

    def fill(self, text: str) -> None:
        """Put another text there."""
        self.holder[self.key] = text


def replaceable_texts(value: Any, schema: dict[str, Any], limit_chars: int) -> Iterator[TextSlot]:
    """Texts of more than `limit_chars` that any other text may stand for. Of a large structure, those at its
    beginning."""
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
                yield TextSlot(holder, key, found)


def _below(holder: Any, choices: list[Schema]) -> Iterator[tuple[Any, list[Any]]]:
    """The keys of a dict or list, each with what the schema says of the value there; none where it is not followed."""
    if not isinstance(holder, (dict, list)):
        return
    kind = "object" if isinstance(holder, dict) else "array"
    fitting = [choice for choice in choices if _takes(choice, kind)]
    if len(fitting) != 1:        # of several, who knows which holds once a text is another
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
    """The schemas that these offer, references followed."""
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
    """The word by which the schema offers several and says nothing else."""
    for word in ("anyOf", "oneOf"):
        if isinstance(schema.get(word), list) and schema.keys() <= _NOTES | {word}:
            return word
    return None


def _at(root: dict[str, Any], reference: Any) -> Any:
    """What a reference within the schema leads to (RFC 6901)."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _is_any_text(choices: list[Schema]) -> bool:
    fitting = [choice for choice in choices if _takes(choice, "string")]
    return bool(fitting) and all(choice is True or choice.keys() <= _PLAIN for choice in fitting)  # type: ignore[union-attr]


def _takes(schema: Schema, kind: str) -> bool:
    if isinstance(schema, bool):
        return schema
    types = schema.get("type", kind)
    return kind == types or (isinstance(types, list) and kind in types)
