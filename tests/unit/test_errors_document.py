"""docs/errors.md is the list of what callers can be told."""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import longshore
from longshore.shared.errors import LongshoreError, Refused, Unavailable

_DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"
_ROW = re.compile(r"^\| `([a-z_]+)` \| (\d{3}) \| (-\d{5}) \| (\S.*\S) \| (\S.*\S) \|$", re.MULTILINE)


def _family(base: type[LongshoreError]) -> Iterator[type[LongshoreError]]:
    yield base
    for kind in base.__subclasses__():
        if kind.__module__.partition(".")[0] != "tests":
            yield from _family(kind)


@pytest.fixture(scope="module")
def family() -> list[type[LongshoreError]]:
    """Every class of the family, wherever it is defined."""
    for module in pkgutil.walk_packages(longshore.__path__, "longshore."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return list(_family(LongshoreError))


def _documented(section: str) -> list[tuple[str, int, int]]:
    text = _DOCUMENT.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [(reason, int(status), int(code)) for reason, status, code, _, _ in _ROW.findall(text)]


def _told(family: Iterable[type[LongshoreError]]) -> set[tuple[str, int, int]]:
    return {(kind.reason, kind.status, kind.code) for kind in family}


def test_the_document_lists_exactly_the_reasons_of_the_code(family: list[type[LongshoreError]]) -> None:
    listed = [
        *_documented("Retrying does not help"), *_documented("Retrying later may help"),
        *_documented("A bug in longshore"),
    ]

    assert set(listed) == _told(family)
    assert len(listed) == len(set(listed))


def test_a_reason_is_listed_by_whether_asking_again_helps(family: list[type[LongshoreError]]) -> None:
    refused = {kind for kind in family if issubclass(kind, Refused)}
    unavailable = {kind for kind in family if issubclass(kind, Unavailable)}

    assert set(_documented("Retrying does not help")) == _told(refused)
    assert set(_documented("Retrying later may help")) == _told(unavailable)


def test_a_reason_has_one_status_and_one_code(family: list[type[LongshoreError]]) -> None:
    told = _told(family)

    assert len({reason for reason, _, _ in told}) == len(told)


def test_codes_and_statuses_are_of_their_ranges(family: list[type[LongshoreError]]) -> None:
    for kind in family:
        assert 400 <= kind.status < 600, kind
        assert -32768 <= kind.code <= -32000, kind
