"""Schema of the configuration file, derived from the annotated fields of the section structs. Pure."""

import types
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Annotated, Literal, Union, get_args, get_origin

import msgspec

from longshore.shared.config.config import Config
from longshore.shared.config.keys import Key, KeyClass, Marker
from longshore.shared.config.text_types import Text
from longshore.shared.config.value_types import Boolean, Choice, Integer, ListOf, Ratio, ScalarType, Value, ValueType


class Required(Enum):
    """Sentinel for the default of a required key."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED

_IMPLIED: dict[object, ScalarType] = {bool: Boolean(), int: Integer(), float: Ratio(), str: Text()}


@dataclass(frozen=True)
class KeySchema:
    """One key of the file."""

    path: str  # `servers[].id`, `servers[].adapters[upload_consumer].tools`
    value_type: ValueType
    default: Value | Required
    options: Key

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit(".", 1)[-1]

    @property
    def key_class(self) -> KeyClass:
        """Effect of the key in this version."""
        return self.options.key_class

    @property
    def off(self) -> tuple[Value, ...]:
        """Accepted values of a `later` key besides the default."""
        return tuple(value for value in self.options.off if value != self.default)


@dataclass
class SectionSchema:
    """One level of the file, with the keys and sections that it accepts."""

    path: str
    struct: type[msgspec.Struct]
    keys: dict[str, KeySchema] = field(default_factory=dict)
    sections: dict[str, "SectionSchema"] = field(default_factory=dict)
    lists: dict[str, "SectionSchema"] = field(default_factory=dict)              # every item is such a section
    tagged: dict[str, dict[str, "SectionSchema"]] = field(default_factory=dict)  # by the `type` of the item
    required: frozenset[str] = frozenset()                                       # fields without a default

    @property
    def names(self) -> tuple[str, ...]:
        """Names that are accepted at this level."""
        return (*self.keys, *self.sections, *self.lists, *self.tagged)


@dataclass
class _Builder:
    """Derivation of a schema from structs. `keys` collects all keys in the order of the fields."""

    keys: dict[str, KeySchema] = field(default_factory=dict)

    def section(self, struct: type[msgspec.Struct], path: str) -> SectionSchema:
        fields = msgspec.structs.fields(struct)
        section = SectionSchema(path, struct, required=frozenset(info.name for info in fields if info.required))
        if (tag := struct.__struct_config__.tag) is not None:
            key = Key((struct.__doc__ or "").partition("\n")[0])
            self._add(section, "type", KeySchema(f"{path}.type", Choice(options=(str(tag),)), REQUIRED, key))
        for info in fields:
            self._field(section, info, f"{path}.{info.name}" if path else info.name)
        return section

    def _add(self, section: SectionSchema, name: str, key: KeySchema) -> None:
        section.keys[name] = self.keys[key.path] = key

    def _field(self, section: SectionSchema, info: msgspec.structs.FieldInfo, path: str) -> None:
        hint, *metadata = get_args(info.type) if get_origin(info.type) is Annotated else (info.type,)
        if Marker.NOT_IN_FILE in metadata:
            return
        if Marker.INHERITED in metadata:
            self._add(section, info.name, self._inherited(path))
        elif key := next((item for item in metadata if isinstance(item, Key)), None):
            declared = next((item for item in metadata if isinstance(item, ValueType)), None)
            self._add(section, info.name, KeySchema(path, _value_type(hint, declared), _default(info), key))
        elif structs := _structs(hint):
            self._below(section, info.name, path, structs, is_list=get_origin(hint) is tuple)
        else:
            raise TypeError(f"{path} is neither a section nor annotated with a Key")

    def _below(
        self, section: SectionSchema, name: str, path: str, structs: list[type[msgspec.Struct]], *, is_list: bool
    ) -> None:
        if len(structs) > 1:
            tags = {str(struct.__struct_config__.tag): struct for struct in structs}
            section.tagged[name] = {tag: self.section(struct, f"{path}[{tag}]") for tag, struct in tags.items()}
        elif is_list:
            section.lists[name] = self.section(structs[0], f"{path}[]")
        else:
            section.sections[name] = self.section(structs[0], path)

    def _inherited(self, path: str) -> KeySchema:
        origin = self.keys["core" + path.removeprefix("servers[]")]
        options = replace(origin.options, description=f"Null inherits `{origin.path}`.")
        return KeySchema(path, replace(origin.value_type, nullable=True), None, options)


def _structs(hint: object) -> list[type[msgspec.Struct]]:
    """Struct classes in `hint`: a struct, a tuple of structs or of a union of structs."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint]
    if get_origin(hint) is tuple or _is_union(hint):
        return [struct for inner in get_args(hint) for struct in _structs(inner)]
    return []


def _is_union(hint: object) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _value_type(hint: object, declared: ValueType | None) -> ValueType:
    if not _is_union(hint):
        return declared or _implied(hint)
    inner = next(part for part in get_args(hint) if part is not types.NoneType)
    return replace(declared or _implied(inner), nullable=True)


def _implied(hint: object) -> ScalarType | ListOf:
    if get_origin(hint) is tuple:
        item = _implied(get_args(hint)[0])
        assert isinstance(item, ScalarType)
        return ListOf(item=item)
    return Choice(options=get_args(hint)) if get_origin(hint) is Literal else _IMPLIED[hint]


def _default(info: msgspec.structs.FieldInfo) -> Value | Required:
    if info.required:
        return REQUIRED
    default: Value = info.default if info.default_factory is msgspec.NODEFAULT else info.default_factory()
    return default


def derive_schema(root: type[msgspec.Struct]) -> tuple[SectionSchema, tuple[KeySchema, ...]]:
    """Schema of a file whose top level is `root`, and its keys in the order of the fields."""
    builder = _Builder()
    return builder.section(root, ""), tuple(builder.keys.values())


ROOT, KEYS = derive_schema(Config)
