"""Substitution of `${NAME}`, `${NAME:-default}`, `${file:PATH}` and `$${`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.shared.config.value_types import InvalidValue
from longshore.shared.config.variables import Variables

_FILES = {"/run/secrets/token": "s3cret\n", "/run/secrets/windows": "s3cret\r\n", "/run/secrets/empty": "\n"}


def _variables(**environ: str) -> Variables:
    return Variables(environ=environ, read_file=_FILES.get)


@pytest.mark.parametrize(
    "text, value",
    [
        ("${A}", "one"),
        ("x${A}y${B}z", "xoneytwoz"),
        ("${A:-other}", "one"),
        ("${UNSET:-other}", "other"),
        ("${EMPTY:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:-b c}", "a:-b c"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("pa$$word", "pa$$word"),
        ("^a$", "^a$"),
        ("$A", "$A"),
        ("${file:/run/secrets/token}", "s3cret"),
        ("${file:/run/secrets/windows}", "s3cret"),
        ("Bearer ${file:/run/secrets/token}", "Bearer s3cret"),
        ("${file:/nowhere:-other}", "other"),
        ("${file:/run/secrets/empty:-other}", "other"),
    ],
)
def test_references_are_replaced(text: str, value: str) -> None:
    variables = _variables(A="one", B="two", EMPTY="")

    assert variables.substitute(text) == value


@pytest.mark.parametrize(
    "text, said",
    [
        ("${UNSET}", "UNSET"),
        ("${EMPTY}", "EMPTY"),
        ("${file:/nowhere}", "/nowhere"),
        ("${file:/run/secrets/empty}", "/run/secrets/empty"),
        ("${A", "$${"),
        ("${A-b}", "$${"),
        ("${}", "$${"),
        ("${1A}", "$${"),
        ("${UNSET:-${A}}", "$${"),
    ],
)
def test_a_reference_without_a_value_is_invalid(text: str, said: str) -> None:
    variables = _variables(A="one", EMPTY="")

    with pytest.raises(InvalidValue) as refusal:
        variables.substitute(text)

    assert said in str(refusal.value)


@given(value=st.text(min_size=1))
def test_substitution_is_not_recursive(value: str) -> None:
    assert _variables(A=value).substitute("${A}") == value


@given(text=st.text())
def test_any_text_can_be_escaped(text: str) -> None:
    assert _variables().substitute(text.replace("${", "$${")) == text
