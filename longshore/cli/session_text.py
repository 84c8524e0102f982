"""Text of sessions for a terminal: a table row, and all details. Pure."""

from datetime import UTC, datetime

from longshore.shared.records import FileRecord, UploadRecord
from longshore.shared.state.inspect import SessionView

_COLUMNS = ("SESSION", "SERVER", "PRINCIPAL", "CREATED", "LAST USED", "CALLS", "STREAMS", "FILES", "BYTES")
_WIDTHS = (32, 16, 24, 20, 20, 5, 7, 5, 12)

HEADING = "  ".join(name.ljust(width) for name, width in zip(_COLUMNS, _WIDTHS, strict=True)).rstrip()


def row(view: SessionView) -> str:
    """Format one line below HEADING; a long cell moves the rest to the right and is not cut."""
    cells = (
        view.session_id, view.server, view.principal or "(none yet)", utc_time(view.created_ms),
        utc_time(view.touched_ms), str(view.in_flight), str(view.streams), str(view.files), str(view.bytes),
    )
    return "  ".join(_plain(cell).ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def details(view: SessionView, files: list[FileRecord]) -> str:
    """Format everything known of one session and its files."""
    facts = {
        "session": view.session_id,
        "state": view.state + (f": {view.reason}" if view.reason else ""),
        "server": view.server,
        "principal": view.principal or "(none yet)",
        "protocol": view.protocol or "(unknown)",
        "created": utc_time(view.created_ms),
        "last used": utc_time(view.touched_ms),
        "expires" if view.state == "live" else "kept until": utc_time(view.due_ms or 0),
        "calls in flight": str(view.in_flight),
        "open streams": str(view.streams),
        "files": f"{view.files}, {view.bytes} bytes",
    }
    lines = [f"{name + ':':<17}{_plain(value)}" for name, value in facts.items()]
    return "\n".join([*lines, *map(_file, files)])


def utc_time(ms: int) -> str:
    """Format a time in UTC, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if ms else "never"


def _file(record: FileRecord) -> str:
    kind = "upload  " if isinstance(record, UploadRecord) else "artifact"
    return f"  {kind} {record.id}  {record.size_bytes:>12}  {record.media_type}  {_plain(record.name)}"


def _plain(text: str) -> str:
    """Replace control characters: names come from clients."""
    return "".join(char if char.isprintable() else "�" for char in text)
