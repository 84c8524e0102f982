"""Sealed tokens, which clients store for longshore and can neither read nor change."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from longshore.shared.crypto.sealed_tokens import SealedRecord, Sealer

_SEALER = Sealer(["a secret of the tests"], "tests")
_SEALED = _SEALER.seal(b"what nobody else reads")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(content=st.binary(max_size=1000))
def test_sealed_content_is_unsealed_and_not_visible(content: bytes) -> None:
    sealed = _SEALER.seal(content)

    assert _SEALER.unseal(sealed) == content
    assert set(sealed) <= set(_ALPHABET)
    assert sealed != _SEALER.seal(content)


@given(place=st.integers(0, len(_SEALED) - 1), letter=st.sampled_from(_ALPHABET + "=+/ é\0"))
def test_a_token_with_a_changed_character_is_not_unsealed(place: int, letter: str) -> None:
    changed = _SEALED[:place] + letter + _SEALED[place + 1:]

    assert _SEALER.unseal(changed) == (b"what nobody else reads" if changed == _SEALED else None)


@given(text=st.one_of(st.text(max_size=100), st.just("A" * 5000)))
def test_other_text_is_not_unsealed(text: str) -> None:
    assert _SEALER.unseal(text) is None


def test_a_replaced_secret_still_unseals_and_another_purpose_never() -> None:
    old, new = Sealer(["old"], "tests"), Sealer(["new", "old"], "tests")

    assert new.unseal(old.seal(b"x")) == b"x"
    assert old.unseal(new.seal(b"x")) is None
    assert Sealer(["old"], "something else").unseal(old.seal(b"x")) is None


class _First(msgspec.Struct, frozen=True, array_like=True, tag=1):
    name: str


class _Second(msgspec.Struct, frozen=True, array_like=True, tag=2):
    name: str


def test_a_sealed_record_is_unsealed_and_one_of_another_version_is_not() -> None:
    first, second = SealedRecord(_First), SealedRecord(_Second)
    token = first.seal(_SEALER, _First("a"))

    assert first.unseal(_SEALER, token) == _First("a")
    assert second.unseal(_SEALER, token) is None
    assert first.unseal(_SEALER, _SEALER.seal(b"no record")) is None
    assert first.unseal(_SEALER, "other text") is None
