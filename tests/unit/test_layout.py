"""Safe file names, and the layout of the volume."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.shared.storage.layout import artifact_parts, safe_name, upload_parts


@pytest.mark.parametrize(
    "name, safe",
    [
        ("report.pdf", "report.pdf"),
        ("report ü.bin", "report ü.bin"),
        ("日本語.txt", "日本語.txt"),
        ("../../etc/passwd", "file__.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("a/b\\c.txt", "a_b_c.txt"),
        ("nul\0byte.txt", "nul_byte.txt"),
        ("line\nbreak.txt", "line_break.txt"),
        ("rtl\u202etxt.exe", "rtl_txt.exe"),
        ("", "file"),
        (".", "file"),
        ("..", "file"),
        ("...", "file"),
        (".bashrc", "file_bashrc"),
        ("CON", "file_CON"),
        ("con.txt", "file_con.txt"),
        ("Lpt1.log", "file_Lpt1.log"),
        ("console.txt", "console.txt"),
        ("trailing.", "trailing"),
        (" spaces ", "spaces"),
        ("e\u0301.txt", "é.txt"),
        ("lone\ud800.txt", "lone_.txt"),
    ],
)
def test_names_become_one_safe_component(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["x" * 255, "x" * 5000 + ".pdf", "ü" * 5000 + ".tar", "日" * 300, "." * 5000 + "x"])
def test_long_names_are_shortened_to_the_limit_of_a_volume(name: str) -> None:
    assert 1 <= len(safe_name(name).encode()) <= 255


def test_a_shortened_name_keeps_its_extension() -> None:
    assert safe_name("x" * 5000 + ".pdf").endswith("x.pdf")


@given(st.text())
def test_any_text_becomes_a_plain_name(name: str) -> None:
    safe = safe_name(name)

    assert 1 <= len(safe.encode()) <= 255
    assert safe not in (".", "..")
    assert not set(safe) & set("/\\\0")
    assert not safe.startswith(".")


@given(st.text())
def test_a_safe_name_is_safe_already(name: str) -> None:
    safe = safe_name(name)

    assert safe_name(safe) == safe


def test_files_have_the_documented_paths() -> None:
    assert "/".join(upload_parts("S", "U", "a.txt")) == "uploads/sessions/S/U/a.txt"
    assert "/".join(artifact_parts("S", "A", "b.png")) == "artifacts/sessions/S/A/b.png"
