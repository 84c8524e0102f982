"""Sessions in words and columns for a terminal. Pure."""

from datetime import UTC, datetime

from longshore.shared.records import FileRecord, UploadRecord
from longshore.shared.state.inspect import SessionView

_COLUMNS = ("SESSION", "SERVER", "PRINCIPAL", "CREATED", "LAST USED", "CALLS", "STREAMS", "FILES", "BYTES")
_WIDTHS = (32, 16, 24, 20, 20, 5, 7, 5, 12)

HEADING = "  ".join(name.ljust(width) for name, width in zip(_COLUMNS, _WIDTHS, strict=True)).rstrip()


def row(view: SessionView) -> str:
    """One line below HEADING; what is too long pushes the rest to the right rather than being cut."""
    cells = (
        view.session_id, view.server, view.principal or "(nobody yet)", when(view.created_ms), when(view.touched_ms),
        str(view.in_flight), str(view.streams), str(view.files), str(view.bytes),
    )
    return "  ".join(_plain(cell).ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def details(view: SessionView, files: list[FileRecord]) -> str:
    """All that is known of one session."""
    facts = {
        "session": view.session_id,
        "state": _STATES.get(view.state, view.state) + (f": {view.reason}" if view.reason else ""),
        "server": view.server,
        "principal": view.principal or "(nobody yet)",
        "protocol": view.protocol or "(unknown)",
        "created": when(view.created_ms),
        "last used": when(view.touched_ms),
        _DUE.get(view.state, "forgotten"): when(view.due_ms or 0),
        "calls in flight": str(view.in_flight),
        "open streams": str(view.streams),
        "files": f"{view.files}, {view.bytes} bytes",
    }
    lines = [f"{name + ':':<17}{_plain(value)}" for name, value in facts.items()]
    return "\n".join([*lines, *map(_file, files)])


_STATES = {"expired": "resting"}
_DUE = {"live": "expires"}


def when(ms: int) -> str:
    """A time in UTC, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if ms else "never"


def _file(record: FileRecord) -> str:
    kind = "upload  " if isinstance(record, UploadRecord) else "artifact"
    return f"  {kind} {record.id}  {record.size_bytes:>12}  {record.media_type}  {_plain(record.name)}"


def _plain(text: str) -> str:
    """Without characters that a terminal would obey: names come from clients."""
    return "".join(char if char.isprintable() else "�" for char in text)
