"""Output on a terminal and in a pipe."""

import pytest

from longshore.cli.console import Console


def test_without_a_terminal_progress_is_plain_lines_up_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress("crates.csv", 1000) as advance:
        for _ in range(10):
            advance(100)

    lines = capsys.readouterr().out.splitlines()

    assert lines == [
        "    crates.csv: 30 % of 1,000 bytes",
        "    crates.csv: 50 % of 1,000 bytes",
        "    crates.csv: 80 % of 1,000 bytes",
        "    crates.csv: 100 % of 1,000 bytes",
    ]


def test_text_to_paste_is_printed_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    text = '[section]\nurl = "http://127.0.0.1/[bold]' + "x" * 200 + '"\n:smile:'

    Console().paste(text)

    assert capsys.readouterr().out == text + "\n"
