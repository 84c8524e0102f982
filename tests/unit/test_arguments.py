"""Handles in tool arguments: found at the adapter's path only."""

from pathlib import PurePosixPath
from typing import Any

import msgspec
import pytest

from longshore.gateway.files import arguments
from longshore.gateway.wire.protocol_errors import ToolInputError
from longshore.shared.config import UploadConsumer
from longshore.shared.ids import new_id, new_session_id
from tests.fixtures.storage import artifact_record, upload_record

_SCHEMES = ("upload://", "artifact://")
_SCOPE = new_session_id()
_PATH = PurePosixPath("/data/a b.txt")


def _handle(scope: str = _SCOPE) -> str:
    return f"upload://sessions/{scope}/{new_id()}"


def _adapter(path: str, *, uri_prefix: bool | None = None) -> UploadConsumer:
    return UploadConsumer(tools=("t",), file_path_argument=path, uri_prefix=uri_prefix)


def _rewritten(given: dict[str, Any], path: str, *, uri_prefix: bool | None = None) -> dict[str, Any]:
    for slot in arguments.find(given, _adapter(path, uri_prefix=uri_prefix), schemes=_SCHEMES, scope=_SCOPE):
        slot.fill_path(_PATH)
    return given


@pytest.mark.parametrize(
    "path, given, expected",
    [
        ("p", {"p": "H"}, {"p": "X"}),
        ("p", {"p": ["H", "plain", "H"]}, {"p": ["X", "plain", "X"]}),
        ("a.b.p", {"a": {"b": {"p": "H"}}}, {"a": {"b": {"p": "X"}}}),
        ("f.path", {"f": [{"path": "H"}, {"path": "H", "x": 1}]}, {"f": [{"path": "X"}, {"path": "X", "x": 1}]}),
        ("files.1.path", {"files": [{"path": "H"}, {"path": "H"}]}, {"files": [{"path": "H"}, {"path": "X"}]}),
        ("files.0", {"files": ["H", "H"]}, {"files": ["X", "H"]}),
        ("files.7", {"files": ["H"]}, {"files": ["H"]}),
        ("files.0.p", {"files": {"0": {"p": "H"}}}, {"files": {"0": {"p": "X"}}}),
        ("a.p", {"a": [[{"p": "H"}], {"p": ["H"]}]}, {"a": [[{"p": "X"}], {"p": ["X"]}]}),
        # What is not at the path, or no handle, is the tool's business.
        ("p", {"q": "H"}, {"q": "H"}),
        ("p", {"p": {"deeper": "H"}}, {"p": {"deeper": "H"}}),
        ("p", {"p": [["H"]]}, {"p": [["H"]]}),
        ("p.q", {"p": "H"}, {"p": "H"}),
        ("p", {"p": None}, {"p": None}),
        ("p", {"p": 7}, {"p": 7}),
        ("p", {"p": [1, None, {}]}, {"p": [1, None, {}]}),
        ("p", {"p": "/home/me/a.txt"}, {"p": "/home/me/a.txt"}),
        ("p", {"p": "see H"}, {"p": "see H"}),
        ("p", {"p": "https://example.org/a"}, {"p": "https://example.org/a"}),
        ("p", {}, {}),
        ("", {"": "H"}, {"": "X"}),
        ("a.²", {"a": ["H"]}, {"a": ["H"]}),
    ],
)
def test_handles_at_the_path_become_paths(path: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    handle = _handle()
    text = msgspec.json.encode(given).decode().replace("H", handle)
    wanted = msgspec.json.encode(expected).decode().replace("X", str(_PATH)).replace("H", handle)

    assert _rewritten(msgspec.json.decode(text), path) == msgspec.json.decode(wanted)


def test_a_uri_is_written_where_the_adapter_wants_one() -> None:
    assert _rewritten({"p": _handle()}, "p", uri_prefix=True) == {"p": "file:///data/a%20b.txt"}


def test_a_slot_knows_its_file() -> None:
    file_id = new_id()

    (slot,) = arguments.find(
        {"p": f"artifact://sessions/{_SCOPE}/{file_id}/x.png"}, _adapter("p"), schemes=_SCHEMES, scope=_SCOPE
    )

    assert (slot.handle.scope, slot.handle.file_id, slot.handle.name) == (_SCOPE, file_id, "x.png")


def test_a_handle_of_another_session_is_refused() -> None:
    with pytest.raises(ToolInputError, match="another session"):
        arguments.find({"p": ["plain", _handle(new_session_id())]}, _adapter("p"), schemes=_SCHEMES, scope=_SCOPE)


@pytest.mark.parametrize("text", ["upload://", "upload://nonsense", "UPLOAD://x/y/z", "upload://" + "x" * 10_000])
def test_a_malformed_handle_is_refused(text: str) -> None:
    with pytest.raises(ToolInputError, match="malformed"):
        arguments.find({"p": text}, _adapter("p"), schemes=_SCHEMES, scope=_SCOPE)


def test_a_refusal_rewrites_nothing() -> None:
    given = {"p": [_handle(), _handle(new_session_id())]}
    before = msgspec.json.encode(given)

    with pytest.raises(ToolInputError):
        _rewritten(given, "p")

    assert msgspec.json.encode(given) == before


def test_a_thousand_handles_pass_and_no_more() -> None:
    assert len(arguments.find({"p": [_handle()] * 1000}, _adapter("p"), schemes=_SCHEMES, scope=_SCOPE)) == 1000
    with pytest.raises(ToolInputError, match="1000"):
        arguments.find({"p": [_handle()] * 1001}, _adapter("p"), schemes=_SCHEMES, scope=_SCOPE)


def test_paths_are_below_the_root_as_the_upstream_sees_it() -> None:
    upload, artifact = upload_record(_SCOPE), artifact_record(_SCOPE)
    root = PurePosixPath("/mnt/theirs")

    assert str(arguments.path_of(upload, root)) == f"/mnt/theirs/uploads/sessions/{_SCOPE}/{upload.id}/a.txt"
    assert str(arguments.path_of(artifact, root)) == f"/mnt/theirs/artifacts/sessions/{_SCOPE}/{artifact.id}/a.png"


@pytest.mark.parametrize(
    "given, dotted, expected",
    [
        ({}, "out", {"out": "[]"}),
        ({"out": "shot.png", "x": 1}, "out", {"out": "[shot.png]", "x": 1}),
        ({"out": None}, "out", {"out": "[]"}),
        ({}, "a.b.out", {"a": {"b": {"out": "[]"}}}),
        ({"a": {"x": 1}}, "a.out", {"a": {"x": 1, "out": "[]"}}),
    ],
)
def test_an_output_path_is_put_in(given: dict[str, Any], dotted: str, expected: dict[str, Any]) -> None:
    put = arguments.inject(given, dotted, lambda wanted: f"[{wanted}]")

    assert given == expected
    assert put.startswith("[")


@pytest.mark.parametrize("given", [{"a": {"out": 7}}, {"a": {"out": ["x"]}}, {"a": "text"}, {"a": [{}]}])
def test_an_output_path_that_does_not_fit_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ToolInputError, match=r"a\.out"):
        arguments.inject(given, "a.out", lambda wanted: wanted)
