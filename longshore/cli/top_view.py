"""Table of the figures of `longshore top`, with rates since the previous update. Pure."""

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from longshore.cli.figures import Figures, ServerFigures


def render(now: Figures, before: Figures | None = None, elapsed_s: float = 0.0) -> RenderableType:
    """Render the figures, with rates since `before`."""
    head = Text(f"longshore  {now.answered} processes answer", style="bold")
    if not now.redis_up:
        head.append("  Redis does not answer", style="bold red")
    silent = [Text(f"no answer: {url}", style="yellow") for url in now.silent]
    return Group(head, *silent, _facts(now, before, elapsed_s), _servers(now, before, elapsed_s))


def _facts(now: Figures, before: Figures | None, elapsed_s: float) -> Table:
    def since(field: str) -> str:
        return "" if before is None else f"{_rate(getattr(now, field), getattr(before, field), elapsed_s):.1f}/s"

    def bytes_since(field: str) -> str:
        rate = 0.0 if before is None else _rate(getattr(now, field), getattr(before, field), elapsed_s)
        return "" if before is None else f"{decimal(int(rate))}/s"

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("sessions", str(now.sessions), "streams open", str(now.streams))
    table.add_row("files", f"{now.uploads} in, {now.artifacts} out", "stored", decimal(now.stored_bytes))
    table.add_row("workers", str(now.workers), "queue", f"{now.queued} jobs, oldest due {now.oldest_due_s:.1f} s")
    table.add_row("requests", f"{now.requests} {since('requests')}", "failed", f"{now.failed_requests}")
    table.add_row("messages", f"{decimal(now.message_bytes)} {bytes_since('message_bytes')}", "jobs", _jobs(now))
    table.add_row(
        "uploaded", f"{decimal(now.uploaded_bytes)} {bytes_since('uploaded_bytes')}",
        "downloaded", f"{decimal(now.downloaded_bytes)} {bytes_since('downloaded_bytes')}",
    )
    return table


def _jobs(now: Figures) -> str:
    return ", ".join(f"{count} {result}" for result, count in sorted(now.jobs.items()) if count) or "none"


def _servers(now: Figures, before: Figures | None, elapsed_s: float) -> Table:
    table = Table("server", "calls", "calls/s", "failed", "mean", box=None, padding=(0, 2, 0, 0))
    for name, server in sorted(now.servers.items()):
        earlier = before.servers.get(name, ServerFigures()) if before is not None else ServerFigures()
        calls = server.calls - earlier.calls
        mean_ms = 1000 * (server.seconds - earlier.seconds) / calls if calls > 0 else 0.0
        rate = "" if before is None else f"{_rate(server.calls, earlier.calls, elapsed_s):.1f}"
        table.add_row(Text(name), str(server.calls), rate, str(server.failed), f"{mean_ms:.1f} ms" if calls > 0 else "")
    return table


def _rate(now: float, before: float, elapsed_s: float) -> float:
    """Rate per second, at least 0: a process that restarted counts from 0 again."""
    return max(0.0, now - before) / elapsed_s if elapsed_s > 0 else 0.0
