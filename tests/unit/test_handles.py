"""Handles: built, parsed, and refused if malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from longshore.gateway.files.handles import Handle, artifact_uri, begins_with, parse, upload_handle
from longshore.shared.ids import is_id, new_session_id
from longshore.shared.storage.layout import safe_name
from tests.fixtures.storage import artifact_record, upload_record

_SCHEMES = ("upload://", "artifact://")
_S, _F = "S" * 32, "F" * 22


def test_an_upload_handle_comes_back() -> None:
    record = upload_record(new_session_id())

    assert parse(upload_handle("upload://", record), _SCHEMES) == Handle(record.scope, record.id)


@given(st.text())
def test_an_artifact_uri_comes_back_whatever_the_file_is_called(name: str) -> None:
    record = replace(artifact_record(new_session_id()), name=safe_name(name))
    uri = artifact_uri("artifact://", record)

    assert uri.isascii()
    assert parse(uri, _SCHEMES) == Handle(record.scope, record.id, record.name)


@given(st.text(max_size=60) | st.text(max_size=60).map(lambda tail: "upload://sessions/" + tail))
def test_any_text_is_a_handle_of_plain_ids_or_none(text: str) -> None:
    handle = parse(text, _SCHEMES)

    assert handle is None or (is_id(handle.scope) and is_id(handle.file_id))


@pytest.mark.parametrize(
    "text, expected",
    [
        (f"upload://sessions/{_S}/{_F}", Handle(_S, _F)),
        (f"UPLOAD://sessions/{_S}/{_F}", Handle(_S, _F)),
        (f"artifact://sessions/{_S}/{_F}/a%20%C3%BC.png", Handle(_S, _F, "a ü.png")),
        (f"artifact://sessions/{_S}/{_F}/a%2Fb", Handle(_S, _F, "a/b")),
        (f"other://sessions/{_S}/{_F}", None),
        (f" upload://sessions/{_S}/{_F}", None),
        (f"upload://sessions/{_S}/{_F} ", None),
        (f"upload://sessions/{_S}/{_F}\n", None),
        (f"upload://sessions/{_S}/{_F}?x=1", None),
        (f"upload://sessions/{_S}/{_F}/a/b", None),
        (f"upload://SESSIONS/{_S}/{_F}", None),
        (f"upload://sessions/{_S}/../{_F}", None),
        (f"upload://sessions/{_S}/{_F}%00", None),
        ("upload://sessions/../../etc/passwd", None),
        (f"upload://sessions//{_F}", None),
        (f"upload://sessions/{_S}:x/{_F}", None),
        (f"upload://sessions/{'é' * 22}/{_F}", None),
        (f"upload://sessions/{'x' * 10_000}/{_F}", None),
        (f"upload://sessions/{_S}/{'x' * 10_000}", None),
        (f"artifact://sessions/{_S}/{_F}/{'x' * 10_000}", None),
        (f"/tmp/upload://sessions/{_S}/{_F}", None),
        ("upload://", None),
        ("", None),
    ],
)
def test_texts(text: str, expected: Handle | None) -> None:
    assert parse(text, _SCHEMES) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("upload://x", True), ("Upload://", True), ("upload:/x", False), ("/data/upload://x", False), ("", False),
        ("u" * 10_000, False),
    ],
)
def test_a_handle_is_recognised_by_its_scheme(text: str, expected: bool) -> None:
    assert begins_with(text, _SCHEMES) is expected


def test_a_longer_scheme_is_not_taken_for_a_shorter_one() -> None:
    assert parse(f"upload://sessions/{_S}/{_F}", ("up://",)) is None
