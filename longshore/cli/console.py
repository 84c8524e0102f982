"""The only place that writes to the terminal: what a person reads, on stdout; what went wrong, on stderr.

On a terminal there are colours and a progress bar; anywhere else plain lines, each complete in itself.
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
    """Steps, details and results, in the order in which they are reported."""

    def __init__(self) -> None:
        self._terminal = Terminal(highlight=False, markup=False, emoji=False, soft_wrap=True)

    def title(self, text: str) -> None:
        """A line that opens a section, after an empty one."""
        self._terminal.print()
        self._terminal.print(Text(text, style="bold"))

    def step(self, text: str) -> None:
        """What happens next."""
        self._terminal.print(Text.assemble(("→ ", "cyan"), text))

    def detail(self, text: str) -> None:
        """One fact that belongs to the step above."""
        for line in text.splitlines() or [""]:
            self._terminal.print(Text(f"    {line}", style="dim"))

    def success(self, text: str) -> None:
        """The step above did what it should."""
        self._terminal.print(Text.assemble(("  ✓ ", "bold green"), text))

    def paste(self, text: str) -> None:
        """Lines to copy, exactly as they are."""
        self._terminal.print(Text(text))

    @contextmanager
    def progress(self, label: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        """A bar for `total_bytes`; the yielded function takes each further count of bytes."""
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


def complain(text: str) -> None:
    """Say on stderr what went wrong and what to do about it."""
    print(text, file=sys.stderr, flush=True)


def emit(text: str) -> None:
    """Write a result on stdout as it is, for a person or a pipe."""
    print(text, flush=True)


def draw(view: RenderableType) -> None:
    """A view, once."""
    Terminal(highlight=False, markup=False, emoji=False).print(view)


@contextmanager
def screen() -> Iterator[Callable[[RenderableType], None]]:
    """The whole terminal, for a view that is drawn again and again; what was there comes back with the block's end."""
    with Live(screen=True, auto_refresh=False) as live:
        yield lambda view: live.update(view, refresh=True)
