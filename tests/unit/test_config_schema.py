"""Schema of the configuration file: its structs, its reference in the documentation, and the loading of every key."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
import yaml

from longshore.shared.config import ConfigError, reference
from longshore.shared.config.keys import Key, KeyClass
from longshore.shared.config.load import parse_config
from longshore.shared.config.schema import KEYS, REQUIRED, ROOT, KeySchema, SectionSchema, derive_schema
from longshore.shared.config.text_types import Sha256, Text
from longshore.shared.config.value_types import (
    Boolean,
    ByteSize,
    Choice,
    FileMode,
    Integer,
    ListOf,
    MapOf,
    Ratio,
    Value,
    ValueType,
    show,
)

_DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def _sections(section: SectionSchema) -> Iterator[SectionSchema]:
    yield section
    below = [*section.sections.values(), *section.lists.values()]
    below += [item for tags in section.tagged.values() for item in tags.values()]
    for inner in below:
        yield from _sections(inner)


def test_no_key_is_listed_twice() -> None:
    paths = [key.path for key in KEYS]

    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("section", [*_sections(ROOT)], ids=lambda section: section.path or "root")
def test_every_key_is_a_field_and_every_field_a_key(section: SectionSchema) -> None:
    tag = {"type"} if section.struct.__struct_config__.tag else set()
    internal = {"notices", "redis_url_variable"} if section is ROOT else set()

    assert set(section.names) == (set(section.struct.__struct_fields__) | tag) - internal


class _Inner(msgspec.Struct, frozen=True, kw_only=True):
    ratio: Annotated[float, Key("A ratio.")] = 0.5


class _Outer(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Key("A name.")]
    mode: Annotated[Literal["a", "b"] | None, Key("A mode.")] = None
    size: Annotated[int, ByteSize(least=1), Key("A size.")] = 1
    switches: Annotated[tuple[bool, ...], Key("Switches.")] = ()
    inner: _Inner = _Inner()


def test_a_schema_follows_from_the_types_and_defaults_of_fields() -> None:
    _, keys = derive_schema(_Outer)

    assert [(key.path, key.value_type, key.default) for key in keys] == [
        ("name", Text(), REQUIRED),
        ("mode", Choice(options=("a", "b"), nullable=True), None),
        ("size", ByteSize(least=1), 1),
        ("switches", ListOf(item=Boolean()), ()),
        ("inner.ratio", Ratio(), 0.5),
    ]


def test_a_field_without_a_key_is_refused() -> None:
    class Section(msgspec.Struct, frozen=True, kw_only=True):
        forgotten: int = 1

    with pytest.raises(TypeError, match="forgotten"):
        derive_schema(Section)


@pytest.mark.parametrize("key", [key for key in KEYS if key.path.startswith("servers[].upstream_ping.")])
def test_a_key_that_a_server_overrides_has_the_type_and_class_of_the_key_in_core(key: KeySchema) -> None:
    origin = next(other for other in KEYS if other.path == key.path.replace("servers[]", "core"))

    assert key.value_type == replace(origin.value_type, nullable=True)
    assert (key.default, key.key_class, key.options.off) == (None, origin.key_class, origin.options.off)


_OPTIONAL = [key for key in KEYS if key.default is not REQUIRED]
_WORKING = [key for key in _OPTIONAL if key.key_class is KeyClass.WORKS]
_MISSING = [key for key in KEYS if key.key_class is KeyClass.LATER]
_SUPERSEDED = [key for key in KEYS if key.key_class is KeyClass.SUPERSEDED]


def _file(key: KeySchema, value: object) -> str:
    """A file with `key` and the required keys."""
    server: dict[str, object] = {"id": "a", "mount_path": "/mcp/a", "upstream": {"url": "http://u/mcp"}}
    document: dict[str, object] = {"servers": [server]}
    *parents, name = key.path.split(".")
    if key.path.startswith("core.auth.oauth"):
        auth = {} if key.name == "issuer" else {"oauth": {"issuer": "https://i"}}
        document["core"] = {"public_base_url": "https://h", "auth": auth}
    level = document
    for parent in parents:
        if parent == "servers[]":
            level = server
        elif parent.startswith("adapters["):
            tag = parent.removeprefix("adapters[").removesuffix("]")
            level["adapters"] = [{"type": tag, "tools": ["t"]} | _required(tag)]
            level = level["adapters"][0]  # type: ignore[index]
        elif parent == "tokens[]":
            level["tokens"] = [{"name": "n", "token_sha256": "0" * 64, "token": "t"}]
            level = level["tokens"][0]  # type: ignore[index]
        else:
            level = level.setdefault(parent, {})  # type: ignore[assignment]
    level[name] = value
    return yaml.safe_dump(document)


def _required(tag: str) -> dict[str, object]:
    return {"file_path_argument": "path"} if tag == "upload_consumer" else {"output_path_argument": "path"}


def _written(key: KeySchema, value: Value | object) -> object:
    if isinstance(key.value_type, FileMode):
        return f"{value:04o}"
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("key", _OPTIONAL, ids=lambda key: key.path)
def test_the_default_of_every_key_can_be_written(key: KeySchema) -> None:
    config = parse_config(_file(key, _written(key, key.default)), environ={})

    expected = [] if key.key_class is KeyClass.WORKS else [key.key_class.value]
    assert [notice.kind for notice in config.notices] == expected


@pytest.mark.parametrize("key", _MISSING, ids=lambda key: key.path)
def test_a_value_that_turns_a_missing_feature_off_is_accepted_with_a_notice(key: KeySchema) -> None:
    for value in key.off:
        config = parse_config(_file(key, _written(key, value)), environ={})

        assert [notice.kind for notice in config.notices] == ["later"]
        assert config.notices[0].path == key.path.replace("[]", "[0]")
        assert config.notices[0].line > 0


def _other(key: KeySchema) -> object:
    """A valid value of the key that is neither its default nor turns a feature off."""
    if isinstance(key.value_type, Choice):
        return next(option for option in key.value_type.options if option not in (key.default, *key.off))
    if isinstance(key.value_type, Boolean):
        return key.default is not True and True not in key.off
    values: dict[type[ValueType], object] = {Integer: 4, ByteSize: 4, Ratio: 0.5, MapOf: {"x-a": "b"}, ListOf: ["x"]}
    return values.get(type(key.value_type), "http://x/y")


_REFUSED = [key for key in _MISSING if not {True, False} <= {key.default, *key.off}]


@pytest.mark.parametrize("key", _REFUSED, ids=lambda key: key.path)
def test_a_value_that_needs_a_missing_feature_is_refused_with_the_accepted_values(key: KeySchema) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(_file(key, _other(key)), environ={})

    (fault,) = refusal.value.faults
    assert fault.path == key.path.replace("[]", "[0]").replace("[upload_consumer]", "[0]")
    assert "not available in this version of longshore" in fault.text
    assert key.default is not REQUIRED
    assert show(key.default) in fault.text


@pytest.mark.parametrize("key", _SUPERSEDED, ids=lambda key: key.path)
def test_a_superseded_key_is_accepted_with_one_notice_that_names_the_replacement(key: KeySchema) -> None:
    config = parse_config(_file(key, _other(key)), environ={})

    (notice,) = config.notices
    assert (notice.kind, notice.path) == ("superseded", key.path)
    assert key.options.superseded_by in notice.text


_INVALID: dict[type[ValueType], str] = {
    Integer: "many", Boolean: "perhaps", ByteSize: "big", Choice: "?", FileMode: "9",
}
_VALIDATED = [key for key in (*_WORKING, *_SUPERSEDED) if type(key.value_type) in _INVALID]


@pytest.mark.parametrize("key", _VALIDATED, ids=lambda key: key.path)
def test_an_invalid_value_is_refused_with_the_accepted_values(key: KeySchema) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(_file(key, _INVALID[type(key.value_type)]), environ={})

    (fault,) = refusal.value.faults
    assert fault.line > 0
    assert key.value_type.allowed in fault.text


@pytest.mark.parametrize("key", _WORKING, ids=lambda key: key.path)
def test_null_is_accepted_in_nullable_keys_only(key: KeySchema) -> None:
    takes_null = key.value_type.nullable or isinstance(key.value_type, ListOf | MapOf)

    if takes_null:
        parse_config(_file(key, None), environ={})
        return
    with pytest.raises(ConfigError, match="must not be null"):
        parse_config(_file(key, None), environ={})


_SECRETS = [key for key in KEYS if key.options.secret and not isinstance(key.value_type, Sha256)]


@pytest.mark.parametrize("key", _SECRETS, ids=lambda key: key.path)
def test_the_value_of_every_secret_key_is_among_the_secrets(key: KeySchema) -> None:
    values: dict[type[ValueType], object] = {MapOf: {"x-a": "hunter22"}, ListOf: ["hunter22"]}

    config = parse_config(_file(key, values.get(type(key.value_type), "hunter22")), environ={})

    assert "hunter22" in config.secrets()


def test_the_documentation_names_every_key_with_its_class() -> None:
    document = _DOCUMENT.read_text()

    assert not [key.path for key in KEYS if f"| `{key.path}` | {key.key_class.value} |" not in document]
    assert reference.insert(document) == document, (
        "run `python -m longshore.shared.config.reference docs/configuration.md` and commit what it writes"
    )
