"""Reference of keys in docs/configuration.md: `python -m longshore.shared.config.reference FILE` writes it."""

import sys
from pathlib import Path

from longshore.shared.config.kinds import Mode, Size
from longshore.shared.config.row import REQUIRED, SUPERSEDED, WORKS, Row
from longshore.shared.config.surface import ROWS
from longshore.shared.config.values import show

BEGIN = "<!-- reference: written by `python -m longshore.shared.config.reference docs/configuration.md` -->\n"
END = "<!-- end of reference -->\n"


def render() -> str:
    """One Markdown table for each section, with every key: class, default, what is allowed, what it does."""
    sections: dict[str, list[Row]] = {}
    for row in ROWS:
        sections.setdefault(_heading(row.path), []).append(row)
    return "\n".join(_table(heading, rows) for heading, rows in sections.items())


def insert(document: str) -> str:
    """`document` with what is between its two marks written anew."""
    before, _, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError("the document lacks the marks of the reference")
    return f"{before}{BEGIN}\n{render()}\n{END}{after}"


def _heading(path: str) -> str:
    """The section that a key is listed under: the first level, with each type of adapter apart."""
    parts = path.split(".")
    if parts[0] == "servers[]" and parts[1].startswith("adapters"):
        return ".".join(parts[:2])
    return parts[0]


def _table(heading: str, rows: list[Row]) -> str:
    lines = [f"### `{heading}`", "", "| key | class | default | allowed | |", "|---|---|---|---|---|"]
    for row in rows:
        cells = (f"`{row.path}`", row.standing.value, _default(row), row.kind.allowed, _note(row))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(row: Row) -> str:
    if row.default is REQUIRED:
        return "required"
    if isinstance(row.default, int) and isinstance(row.kind, Mode):
        return f"`{row.default:04o}`"
    if isinstance(row.default, int) and isinstance(row.kind, Size):
        return f"`{_size(row.default)}`"
    return f"`{show(row.default)}`"


def _size(size: int) -> str:
    for power, unit in ((2, "Mi"), (1, "Ki")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return str(size)


def _note(row: Row) -> str:
    if row.standing is SUPERSEDED:
        return f"{row.note} Not needed: {row.instead}."
    if row.standing is WORKS:
        later = f" Later: {', '.join(map(show, row.not_yet))}." if row.not_yet else ""
        return row.note + later
    also = f" Also taken: {', '.join(f'`{show(value)}`' for value in row.off)}." if row.off else ""
    return row.note + also


def main() -> None:
    """Write the reference into the document that the command line names."""
    document = Path(sys.argv[1])
    document.write_text(insert(document.read_text()))


if __name__ == "__main__":
    main()
