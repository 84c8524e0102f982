"""Cost of a modern call in front of a modern upstream, beside a call of a legacy session."""

from functools import partial

from tests.bench import messages
from tests.bench.load import Load, generator
from tests.bench.report import Report
from tests.bench.rounds import interleaved, noise, ratio
from tests.bench.stand import Way
from tests.bench.variants import Variant, variants

_CONNECTIONS = 32
_SESSION, _MODERN = Variant("with sessions"), Variant("modern", upstream=("modern",))


async def measure(*, rounds: int, seconds: float) -> Report:
    """32 calls at a time that pass through in the era in which they come."""
    columns = ("way", "requests/s", "CPU µs a call", "to sessions", "goal")
    report = Report("modern", f"calls that stay in their era, {_CONNECTIONS} at a time, load by {generator()}", columns)
    async with variants((_SESSION, _MODERN)) as made:
        taken = await interleaved(made, partial(_load, seconds), rounds=rounds)
    base_us = taken[_SESSION.name].cpu_us
    for name, found in taken.items():
        goal = "≤ 1.1" if name == _MODERN.name else None
        report.rows.append((name, found.per_second, found.cpu_us, ratio(found.cpu_us, base_us), goal))
    report.notes.append(noise(taken))
    return report


async def _load(seconds: float, way: Way, port: int) -> Load:
    if way.name == _MODERN.name:
        requests = [messages.modern_call(way, port)]
    else:
        requests = [messages.call(way, port, await messages.open_session(way, port)) for _ in range(_CONNECTIONS)]
    return Load(port=port, requests=requests, connections=_CONNECTIONS, seconds=seconds)
