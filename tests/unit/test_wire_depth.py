"""Check of the nesting depth, which runs before every decoder."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.gateway.wire.envelope import check_depth
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import BadRequest

# Text that looks like structure to whoever forgets strings and their escapes.
_tricky = st.text(alphabet='[]{}"\\/ü\n:, a', max_size=12)
_values = st.recursive(
    st.none() | st.integers() | _tricky,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_tricky, inner, max_size=3),
    max_leaves=20,
)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _passes(body: bytes, limit: int) -> bool:
    try:
        check_depth(body, limit)
    except BadRequest:
        return False
    return True


@given(_values, st.integers(0, 8))
def test_json_passes_exactly_up_to_its_real_depth(value: Any, limit: int) -> None:
    assert _passes(msgspec.json.encode(value), limit) == (_depth(value) <= limit)


@pytest.mark.parametrize("unit", [b"[", b"{", b'{"a":', b'[{"b":['])
def test_what_would_overflow_a_stack_is_refused(unit: bytes) -> None:
    with pytest.raises(BadRequest, match="deeper than 100 levels"):
        check_depth(unit * 100_000, 100)


def test_many_values_beside_each_other_are_not_deep() -> None:
    check_depth(b"[" + b'{"a":[]},' * 10_000 + b"0]", 3)


@pytest.mark.parametrize(
    "tail",
    [
        b'"' + b'\\"' * 1_000_000, b'"' * 2_000_000, b'"' + b"x" * 2_000_000, b'"a\\"' * 500_000,
        b'"' + b"\\" * 2_000_000,
    ],
    ids=["open string of escaped quotes", "quotes", "open string", "mixed", "backslashes"],
)
def test_no_body_takes_long(tail: bytes) -> None:
    """Quadratic time would be hours here."""
    body = b"[" * 101 + b"]" * 101 + tail
    started_s = monotonic_s()

    assert not _passes(body, 100)
    assert _passes(body, 101)
    assert monotonic_s() - started_s < 5
