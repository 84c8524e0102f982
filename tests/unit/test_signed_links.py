"""Signed links: valid for exactly one target, and only until they expire."""

import dataclasses
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.shared.crypto.signed_links import Link, Purpose, Signer
from longshore.shared.errors import Forbidden
from longshore.shared.ids import is_id, new_id, new_session_id

_NOW = 1_800_000_000
_LINK = Link(
    purpose="download", server="s1", scope=new_session_id(), target=new_id(), nonce=new_id(), expires_s=_NOW + 60
)
_SIGNER = Signer(["secret"])


def _verified(query: dict[str, str], link: Link = _LINK, *, signer: Signer = _SIGNER, now_s: float = _NOW) -> Link:
    return signer.verify(query, purpose=link.purpose, server=link.server, target=link.target, now_s=now_s)


def test_a_link_is_valid_for_its_target() -> None:
    assert _verified(_SIGNER.query(_LINK)) == _LINK


def test_an_upload_link_has_no_target() -> None:
    link = dataclasses.replace(_LINK, purpose="upload", target="")

    assert _verified(_SIGNER.query(link), link) == link


@pytest.mark.parametrize(
    "change",
    [{"purpose": "upload"}, {"server": "s2"}, {"server": "s1 "}, {"target": ""}, {"target": "A" * 22}],
    ids=str,
)
def test_a_link_is_not_valid_for_another_target(change: dict[str, str]) -> None:
    asked = dataclasses.replace(_LINK, **change)  # type: ignore[arg-type]

    with pytest.raises(Forbidden, match="signature"):
        _verified(_SIGNER.query(_LINK), asked)


@pytest.mark.parametrize("field", ["scope", "expires", "nonce", "key", "sig"])
def test_every_parameter_is_needed(field: str) -> None:
    query = _SIGNER.query(_LINK)
    del query[field]

    with pytest.raises(Forbidden):
        _verified(query)


@given(
    st.sampled_from(["scope", "expires", "nonce", "key", "sig"]), st.integers(0, 63),
    st.sampled_from(string.ascii_letters + string.digits + "-_ =%ü\0"),
)
def test_every_character_counts(field: str, at: int, char: str) -> None:
    query = _SIGNER.query(_LINK)
    text = query[field]
    changed = text[:at % len(text)] + char + text[at % len(text) + 1:]
    if changed == text:
        return
    query[field] = changed

    with pytest.raises(Forbidden):
        _verified(query)


@pytest.mark.parametrize(
    "field, value",
    [
        ("expires", str(_NOW + 61)), ("expires", f"+{_NOW + 60}"), ("expires", f" {_NOW + 60}"), ("expires", "-1"),
        ("expires", "9" * 5000), ("expires", "١٢٣"), ("expires", "1e9"), ("expires", ""),
        ("scope", "s" * 32), ("scope", "x" * 10_000), ("scope", "../../etc"), ("nonce", "n" * 22),
        ("nonce", "a:b"), ("sig", ""), ("sig", "ü" * 43), ("sig", "A" * 43), ("key", "00000000"), ("key", ""),
    ],
)
def test_other_values_are_refused(field: str, value: str) -> None:
    with pytest.raises(Forbidden):
        _verified(_SIGNER.query(_LINK) | {field: value})


def test_a_link_expires_at_its_second() -> None:
    query = _SIGNER.query(_LINK)

    assert _verified(query, now_s=_LINK.expires_s - 0.001) == _LINK
    for now_s in (_LINK.expires_s, _LINK.expires_s + 1, _LINK.expires_s + 10**9):
        with pytest.raises(Forbidden, match="expired"):
            _verified(query, now_s=now_s)


def test_parameters_of_two_links_do_not_mix() -> None:
    first, second = _SIGNER.query(_LINK), _SIGNER.query(dataclasses.replace(_LINK, nonce=new_id(), expires_s=_NOW + 9))

    for field in ("expires", "nonce", "sig"):
        with pytest.raises(Forbidden):
            _verified(first | {field: second[field]})


def test_fields_do_not_run_into_each_other() -> None:
    """`ab` on server `c` is not `a` on server `bc`."""
    link = dataclasses.replace(_LINK, server="s1" + _LINK.scope, target="")
    query = _SIGNER.query(link)

    with pytest.raises(Forbidden):
        _verified(query, dataclasses.replace(link, server="s1", target=_LINK.scope))


def test_a_link_of_another_secret_is_refused() -> None:
    with pytest.raises(Forbidden, match="signature"):
        _verified(_SIGNER.query(_LINK), signer=Signer(["other"]))


def test_a_key_id_of_another_secret_is_refused() -> None:
    other = Signer(["other"]).query(_LINK)

    with pytest.raises(Forbidden, match="signature"):
        _verified(_SIGNER.query(_LINK) | {"key": other["key"]}, signer=Signer(["other", "secret"]))


def test_secrets_rotate_without_breaking_links() -> None:
    old, both, new = Signer(["old"]), Signer(["new", "old"]), Signer(["new"])

    assert _verified(old.query(_LINK), signer=both) == _LINK
    assert both.query(_LINK) == new.query(_LINK)
    with pytest.raises(Forbidden):
        _verified(old.query(_LINK), signer=new)


def test_a_query_gives_nothing_of_the_secret_away() -> None:
    assert not any("secret" in value for value in _SIGNER.query(_LINK).values())


@pytest.mark.parametrize("purpose", ["upload", "download"])
def test_no_two_links_share_a_signature(purpose: Purpose) -> None:
    links = [dataclasses.replace(_LINK, purpose=purpose, nonce=new_id()) for _ in range(100)]

    assert len({_SIGNER.query(link)["sig"] for link in links}) == 100


def test_a_scope_belongs_to_one_caller_on_one_server() -> None:
    callers = [("s1", "me"), ("s1", "you"), ("s2", "me"), ("s1m", "e"), ("s", "1me"), ("é", "me"), ("e", "\u0301me")]

    scopes = [_SIGNER.scope_of(server, principal) for server, principal in callers]

    assert len(set(scopes)) == len(callers)
    assert all(is_id(scope) for scope in scopes)
    assert scopes[0] == _SIGNER.scope_of("s1", "me") != Signer(["other"]).scope_of("s1", "me")


def test_a_scope_of_a_workspace_belongs_to_one_caller() -> None:
    callers = [
        ("s1", "me", "w"), ("s1", "me", ""), ("s1", "me", "w2"), ("s1", "me\nw", ""), ("s1", "\nme", "w"),
        ("s1", "wme", ""), ("s1", "2me", "w"), ("s1w", "me", ""), ("s2", "me", "w"), ("s1", "\0\0\0\1wme", ""),
    ]

    scopes = [_SIGNER.scope_of(server, principal, workspace) for server, principal, workspace in callers]

    assert len(set(scopes)) == len(callers)
    assert all(is_id(scope) for scope in scopes)


def test_a_scope_without_workspace_stays_the_same() -> None:
    assert Signer(["secret"]).scope_of("s1", "me") == "pWJCe6Im0DCloOlquo0UAmdjmkay6pb1m"


def test_a_scope_survives_a_new_secret_in_front() -> None:
    assert Signer(["new", "secret"]).scope_of("s1", "me") == _SIGNER.scope_of("s1", "me")
