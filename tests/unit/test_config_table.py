"""The table of keys against the structs, against the documentation, and key by key against the loader."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import yaml

from longshore.shared.config import ConfigError, reference
from longshore.shared.config.kinds import (
    Choice,
    Kind,
    ListOf,
    MapOf,
    Mode,
    Ratio,
    Single,
    Size,
    Switch,
    Unbuilt,
    Value,
    Whole,
)
from longshore.shared.config.load import parse_config
from longshore.shared.config.row import LATER, REQUIRED, SUPERSEDED, WORKS, Required, Row
from longshore.shared.config.surface import ROOT, ROWS, STRUCTS, Section
from longshore.shared.config.values import show

_DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
_NOT_OF_THE_FILE = {"notices", "redis_url_variable"}


def _sections(section: Section) -> Iterator[Section]:
    yield section
    below = [*section.sections.values(), *section.lists.values()]
    below += [item for kinds in section.tagged.values() for item in kinds.values()]
    for inner in below:
        yield from _sections(inner)


_SECTIONS = list(_sections(ROOT))


def test_every_section_has_a_struct_and_every_struct_a_section() -> None:
    assert {section.path for section in _SECTIONS} == set(STRUCTS)


def test_no_key_is_listed_twice() -> None:
    paths = [row.path for row in ROWS]

    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("section", _SECTIONS, ids=lambda section: section.path or "root")
def test_every_key_is_a_field_and_every_field_a_key(section: Section) -> None:
    struct = STRUCTS[section.path]
    tag = {"type"} if struct.__struct_config__.tag else set()

    assert set(section.names) == (set(struct.__struct_fields__) | tag) - _NOT_OF_THE_FILE


@pytest.mark.parametrize("section", _SECTIONS, ids=lambda section: section.path or "root")
def test_defaults_of_the_table_and_of_the_structs_agree(section: Section) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(STRUCTS[section.path])}

    for name, row in section.rows.items():
        if name not in fields:
            assert (name, row.default) == ("type", REQUIRED)
        elif fields[name].required:
            assert row.default is REQUIRED, name
        else:
            assert _default(fields[name]) == row.default, name


@pytest.mark.parametrize("section", _SECTIONS, ids=lambda section: section.path or "root")
def test_words_of_the_table_and_of_the_structs_agree(section: Section) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(STRUCTS[section.path])}

    for name, row in section.rows.items():
        if isinstance(row.kind, Choice) and name in fields:
            parts = [part for part in get_args(fields[name]) if part is not type(None)]
            words = [word for part in parts for word in (get_args(part) or (part,))]
            assert set(words) == set(row.kind.words), name


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def test_only_rows_that_are_superseded_say_what_replaces_them() -> None:
    assert {row.path for row in ROWS if row.instead} == {row.path for row in ROWS if row.standing is SUPERSEDED}


_OPTIONAL = [row for row in ROWS if row.default is not REQUIRED]
_WORKING = [row for row in _OPTIONAL if row.standing is WORKS]
_ABSENT = [row for row in ROWS if row.standing is LATER]
_OLD = [row for row in ROWS if row.standing is SUPERSEDED]


def _file(row: Row, value: object) -> str:
    """A file that names `row` alone besides what is required."""
    server: dict[str, object] = {"id": "a", "mount_path": "/mcp/a", "upstream": {"url": "http://u/mcp"}}
    document: dict[str, object] = {"servers": [server]}
    *parents, name = row.path.split(".")
    if row.path.startswith("core.auth.oauth"):
        auth = {} if row.name == "issuer" else {"oauth": {"issuer": "https://i"}}
        document["core"] = {"public_base_url": "https://h", "auth": auth}
    level = document
    for parent in parents:
        if parent == "servers[]":
            level = server
        elif parent.startswith("adapters["):
            kind = parent.removeprefix("adapters[").removesuffix("]")
            level["adapters"] = [{"type": kind, "tools": ["t"]} | _needed(kind)]
            level = level["adapters"][0]  # type: ignore[index]
        elif parent == "tokens[]":
            level["tokens"] = [{"name": "n", "token_sha256": "0" * 64, "token": "t"}]
            level = level["tokens"][0]  # type: ignore[index]
        else:
            level = level.setdefault(parent, {})  # type: ignore[assignment]
    level[name] = value
    return yaml.safe_dump(document)


def _needed(kind: str) -> dict[str, object]:
    return {"file_path_argument": "path"} if kind == "upload_consumer" else {"output_path_argument": "path"}


def _spelled(row: Row, value: Value | object) -> object:
    if isinstance(row.kind, Mode):
        return f"{value:04o}"
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("row", _OPTIONAL, ids=lambda row: row.path)
def test_the_default_of_every_key_can_be_written(row: Row) -> None:
    config = parse_config(_file(row, _spelled(row, row.default)), environ={})

    expected = [] if row.standing is WORKS else [row.standing.value]
    assert [notice.kind for notice in config.notices] == expected


@pytest.mark.parametrize("row", _ABSENT, ids=lambda row: row.path)
def test_what_turns_an_absent_feature_off_is_taken_with_a_notice(row: Row) -> None:
    for value in row.off:
        config = parse_config(_file(row, _spelled(row, value)), environ={})

        assert [notice.kind for notice in config.notices] == ["later"]
        assert config.notices[0].path == row.path.replace("[]", "[0]")
        assert config.notices[0].line > 0


def _other(row: Row) -> object:
    """A value of the row's kind that is neither its default nor turns it off."""
    kind = row.kind
    if isinstance(kind, Choice):
        return next(word for word in kind.words if word != row.default and word not in row.off)
    if isinstance(kind, Switch):
        return row.default is not True and True not in row.off
    values: dict[type[Kind], object] = {Whole: 4, Size: 4, Ratio: 0.5, MapOf: {"x-a": "b"}, ListOf: ["x"]}
    return values.get(type(kind), {"issuer": "x"} if isinstance(kind, Unbuilt) else "http://x/y")


_ASKING = [row for row in _ABSENT if not (isinstance(row.kind, Switch) and {row.default, *row.off} >= {True, False})]


@pytest.mark.parametrize("row", _ASKING, ids=lambda row: row.path)
def test_asking_for_an_absent_feature_is_refused_and_names_what_is_taken(row: Row) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(_file(row, _other(row)), environ={})

    (fault,) = refusal.value.faults
    assert fault.path == row.path.replace("[]", "[0]").replace("[upload_consumer]", "[0]")
    assert "not available in this version of longshore" in fault.text
    assert not isinstance(row.default, Required)
    assert show(row.default) in fault.text


@pytest.mark.parametrize("row", _OLD, ids=lambda row: row.path)
def test_a_superseded_key_is_taken_with_one_warning_that_names_what_replaces_it(row: Row) -> None:
    config = parse_config(_file(row, _other(row)), environ={})

    (notice,) = config.notices
    assert (notice.kind, notice.path) == ("superseded", row.path)
    assert row.instead in notice.text


_UNFIT: dict[type[Single], object] = {Whole: "many", Switch: "perhaps", Size: "big", Choice: "?", Mode: "9"}
_STRICT = [row for row in ROWS if row.standing is not LATER and type(row.kind) in _UNFIT and row.name != "type"]


@pytest.mark.parametrize("row", _STRICT, ids=lambda row: row.path)
def test_a_value_that_does_not_fit_is_refused_and_names_what_is_allowed(row: Row) -> None:
    kind = row.kind
    assert isinstance(kind, Single)

    with pytest.raises(ConfigError) as refusal:
        parse_config(_file(row, _UNFIT[type(kind)]), environ={})

    (fault,) = refusal.value.faults
    assert fault.line > 0
    assert kind.allowed in fault.text


@pytest.mark.parametrize("row", _WORKING, ids=lambda row: row.path)
def test_null_is_taken_only_where_the_table_says_so(row: Row) -> None:
    takes_null = row.kind.nullable or isinstance(row.kind, ListOf | MapOf)

    if takes_null:
        parse_config(_file(row, None), environ={})
        return
    with pytest.raises(ConfigError, match="must not be null"):
        parse_config(_file(row, None), environ={})


def test_the_documentation_names_every_key_with_its_class() -> None:
    document = _DOCUMENT.read_text()

    assert not [row.path for row in ROWS if f"| `{row.path}` | {row.standing.value} |" not in document]
    assert reference.insert(document) == document, (
        "run `python -m longshore.shared.config.reference docs/configuration.md` and commit what it writes"
    )
