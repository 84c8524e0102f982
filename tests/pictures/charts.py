"""A dashboard's panels as a page of SVG: what Grafana would draw, as far as a picture in a document needs it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 490, 190        # of a panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 10, 28, 44
_COLOURS = ("#3274d9", "#e0752d", "#37872d", "#c4162a", "#8f3bb8", "#b8860b", "#00838f", "#6d4c41")
_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "bytes": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")),
    "Bps": ((2**20, "MiB/s"), (2**10, "KiB/s"), (1, "B/s")),
    "percentunit": ((0.01, "%"),),
    "ops": ((1, "/s"),),
    "reqps": ((1, "/s"),),
}
_MOST_NAMES = 6


@dataclass(frozen=True)
class Line:
    """One series: its name in the legend, and its points as seconds and values."""

    name: str
    points: Sequence[tuple[float, float]]


def page(title: str, panels: Sequence[str]) -> str:
    """A whole page of panels, two in a row."""
    return (
        "<!doctype html><meta charset=utf-8><style>"
        "body{margin:12px;background:#fff;font:13px sans-serif;color:#222}h1{font-size:16px;margin:0 0 8px}"
        f"main{{display:grid;grid-template-columns:{WIDTH}px {WIDTH}px;gap:10px}}svg{{border:1px solid #ddd}}"
        f"</style><h1>{escape(title)}</h1><main>{''.join(panels)}</main>"
    )


def panel(title: str, unit: str, lines: Sequence[Line]) -> str:
    """One panel. Its vertical axis begins at 0."""
    highest = max((value for line in lines for _, value in line.points), default=0.0) or 1.0
    factor, word = _scale(unit, highest)
    start = min((moment for line in lines for moment, _ in line.points), default=0.0)
    end = max((moment for line in lines for moment, _ in line.points), default=1.0)
    parts = [
        f'<svg width="{WIDTH}" height="{HEIGHT}" font-size="11">',
        f'<text x="10" y="18" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]
    for step in range(4):
        y = _y(step / 3)
        shown = f"{highest * step / 3 / factor:.3g} {word}".strip()
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end" fill="#666">{escape(shown)}</text>')
    for number, line in enumerate(lines):
        parts.append(_path(line, _COLOURS[number % len(_COLOURS)], (start, end), highest))
    return "".join([*parts, _legend(lines), "</svg>"])


def _scale(unit: str, highest: float) -> tuple[float, str]:
    scales = _SCALES.get(unit, ((1, ""),))
    return next((scale for scale in scales if highest >= scale[0]), scales[-1])


def _y(share: float) -> float:
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _path(line: Line, colour: str, span: tuple[float, float], highest: float) -> str:
    start, end = span
    across = (WIDTH - _LEFT - _RIGHT) / ((end - start) or 1)
    dots = [f"{_LEFT + (moment - start) * across:.1f} {_y(value / highest):.1f}" for moment, value in line.points]
    if len(dots) == 1:
        dots *= 2
    return f'<path d="M{"L".join(dots)}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linecap="round"/>'


def _legend(lines: Sequence[Line]) -> str:
    parts, x = [], 10.0
    for number, line in enumerate(lines[:_MOST_NAMES]):
        if not line.name.strip():
            continue        # the zero that a query ends with where there is nothing yet
        colour = _COLOURS[number % len(_COLOURS)]
        name = line.name if len(line.name) <= 30 else line.name[:29] + "…"
        if x + 14 + len(name) * 6.2 > WIDTH:
            break
        parts.append(f'<path d="M{x:.0f} {HEIGHT - 14}h10" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 14:.0f}" y="{HEIGHT - 10}">{escape(name)}</text>')
        x += 26 + len(name) * 6.2
    return "".join(parts)
