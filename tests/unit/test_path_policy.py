"""Check of paths that a tool names, by their spelling."""

from pathlib import Path

import pytest

from longshore.shared.errors import Forbidden
from longshore.storage_worker.capture.path_policy import Root, allowed_path

MINE, OTHER = "m" * 32, "o" * 32


@pytest.mark.parametrize(
    "below, parts",
    [
        ("out/shot.png", ("out", "shot.png")),
        ("shot.png", ("shot.png",)),
        ("//out///shot.png", ("out", "shot.png")),
        (f"artifacts/sessions/{MINE}/id/x.png", ("artifacts", "sessions", MINE, "id", "x.png")),
        (f"uploads/sessions/{MINE}/id/x.png", ("uploads", "sessions", MINE, "id", "x.png")),
        ("stateful/x", ("stateful", "x")),
    ],
)
def test_a_file_in_the_storage_is_found(tmp_path: Path, below: str, parts: tuple[str, ...]) -> None:
    place = allowed_path(f"{tmp_path}/{below}", [Root.of(tmp_path, is_storage=True)], MINE)

    assert place.parts == parts


@pytest.mark.parametrize(
    "below",
    [
        "", "state/appendonly.aof", "STATE/x", "State", "staging/x", "Staging/x",
        f"artifacts/sessions/{OTHER}/id/x.png", f"uploads/sessions/{OTHER}/id/x.png",
        f"Artifacts/sessions/{MINE}/id/x.png", f"artifacts/sessions/{MINE}/x.png", f"artifacts/sessions/{MINE}",
        "artifacts/x.png", "uploads/x", f"artifacts/sessions/{MINE}/../{OTHER}/id/x.png", "out/../state/x", "./x",
        "nul\0", "../outside",
    ],
)
def test_a_path_that_the_tool_may_not_name_is_refused(tmp_path: Path, below: str) -> None:
    with pytest.raises(Forbidden) as refused:
        allowed_path(f"{tmp_path}/{below}", [Root.of(tmp_path, is_storage=True)], MINE)

    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("path", ["relative/x.png", "", "/etc/passwd", "/", "~/x"])
def test_a_path_outside_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(Forbidden):
        allowed_path(path, [Root.of(tmp_path, is_storage=True)], MINE)


def test_a_sibling_with_the_root_as_prefix_is_outside(tmp_path: Path) -> None:
    with pytest.raises(Forbidden):
        allowed_path(f"{tmp_path}/root-evil/x", [Root.of(tmp_path / "root", is_storage=True)], MINE)


def test_a_root_that_is_a_link_has_both_spellings(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    roots = [Root.of(tmp_path / "link", is_storage=True)]

    places = [allowed_path(f"{tmp_path}/{name}/x", roots, MINE) for name in ("real", "link")]

    assert [place.parts for place in places] == [("x",), ("x",)]


def test_an_allowed_root_around_the_storage_does_not_permit_it(tmp_path: Path) -> None:
    roots = [Root.of(tmp_path), Root.of(tmp_path / "storage", is_storage=True)]

    assert allowed_path(f"{tmp_path}/elsewhere/x", roots, MINE).root.path == tmp_path
    with pytest.raises(Forbidden):
        allowed_path(f"{tmp_path}/storage/state/x", roots, MINE)
