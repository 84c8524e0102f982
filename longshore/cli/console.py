"""Output of the command line, the only module that writes to the terminal: results on stdout, errors on stderr.

On a terminal with colours and a progress bar; otherwise plain lines.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console as Terminal
from rich.console import RenderableType
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

_QUARTERS = 4


class Console:
    """Prints the steps of `longshore up` and their results, in order."""

    def __init__(self) -> None:
        self._terminal = Terminal(highlight=False, markup=False, emoji=False, soft_wrap=True)

    def title(self, text: str) -> None:
        """Print an empty line and a heading."""
        self._terminal.print()
        self._terminal.print(Text(text, style="bold"))

    def step(self, text: str) -> None:
        """Announce the next step."""
        self._terminal.print(Text.assemble(("→ ", "cyan"), text))

    def detail(self, text: str) -> None:
        """Print one fact about the current step."""
        for line in text.splitlines() or [""]:
            self._terminal.print(Text(f"    {line}", style="dim"))

    def success(self, text: str) -> None:
        """Report the success of the current step."""
        self._terminal.print(Text.assemble(("  ✓ ", "bold green"), text))

    def paste(self, text: str) -> None:
        """Print lines unchanged, to be copied."""
        self._terminal.print(Text(text))

    @contextmanager
    def progress(self, label: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        """Show a progress bar for `total_bytes`; the yielded function advances it by a number of bytes."""
        if not self._terminal.is_terminal:
            yield _plain_progress(self.detail, label, total_bytes)
            return
        columns = (TextColumn("    {task.description}"), BarColumn(), DownloadColumn(True), TransferSpeedColumn())
        with Progress(*columns, console=self._terminal) as bar:
            task = bar.add_task(label, total=total_bytes)
            yield lambda count: bar.advance(task, count)


def _plain_progress(line: Callable[[str], None], label: str, total_bytes: int) -> Callable[[int], None]:
    sent = 0

    def advance(count: int) -> None:
        nonlocal sent
        before, sent = sent, sent + count
        if sent * _QUARTERS // total_bytes > before * _QUARTERS // total_bytes:
            line(f"{label}: {100 * sent // total_bytes} % of {total_bytes:,} bytes")

    return advance


def print_error(text: str) -> None:
    """Print on stderr an error and how to correct it."""
    print(text, file=sys.stderr, flush=True)


def print_result(text: str) -> None:
    """Print a result unchanged on stdout, for a person or a pipe."""
    print(text, flush=True)


def print_view(view: RenderableType) -> None:
    """Print a view once."""
    Terminal(highlight=False, markup=False, emoji=False).print(view)


@contextmanager
def live_view() -> Iterator[Callable[[RenderableType], None]]:
    """Use the whole terminal for a view that is updated; its old content is restored when the block ends."""
    with Live(screen=True, auto_refresh=False) as live:
        yield lambda view: live.update(view, refresh=True)
