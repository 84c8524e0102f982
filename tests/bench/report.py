"""Findings of a bench, as a table for people and as numbers for programs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

Cell = str | float | int | None


@dataclass(frozen=True)
class Report:
    """One bench's outcome: a table, and what a reader must know to judge it."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def numbers(self) -> dict[str, object]:
        """The same for a program."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"bench": self.name, "title": self.title, "rows": rows, "notes": self.notes}

    def table(self) -> str:
        """The same as Markdown."""
        shown = [self.columns, *(tuple(_shown(cell) for cell in row) for row in self.rows)]
        widths = [max(len(line[n]) for line in shown) for n in range(len(self.columns))]
        lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in shown]
        lines.insert(1, " | ".join("-" * width for width in widths))
        text = "\n".join(f"| {line} |" for line in lines)
        return "\n".join([f"{self.name}: {self.title}", "", text, *(f"- {note}" for note in self.notes)])


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell)


def middle(values: Sequence[float]) -> float:
    """The median."""
    return float(median(values))
