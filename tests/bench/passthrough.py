"""`tools/call` that touches no file: directly, through nginx as plain reverse proxy, through longshore."""

from functools import partial

from tests.bench import cpu, messages
from tests.bench.load import Load, generator
from tests.bench.report import Cell, Report
from tests.bench.rounds import Samples, interleaved, noise, ratio
from tests.bench.stand import Stand, Way, stand

_CONNECTIONS = 32
_COLUMNS = (
    "way", "1 call: p50 ms", "above direct ms", f"{_CONNECTIONS} calls: requests/s", "to direct", "to nginx",
    "CPU µs a call", "of all processes", "of what the CPU allows",
)


async def measure(*, rounds: int, seconds: float) -> Report:
    """One call at a time for its latency, then 32 at a time over 32 sessions for throughput and CPU."""
    async with stand() as made:
        alone = await interleaved(made, partial(_load, 1, seconds), rounds=rounds)
        crowd = await interleaved(made, partial(_load, _CONNECTIONS, seconds), rounds=rounds)
        return _report(made, alone, crowd)


async def _load(connections: int, seconds: float, way: Way, port: int) -> Load:
    share = max(1, connections // len(way.ports))
    sessions = [await messages.open_session(way, port) for _ in range(share)]
    requests = [messages.call(way, port, session) for session in sessions]
    return Load(port=port, requests=requests, connections=share, seconds=seconds)


def _report(made: Stand, alone: dict[str, Samples], crowd: dict[str, Samples]) -> Report:
    report = Report("passthrough", f"a call of 300 bytes, an answer of 400, load by {generator()}", _COLUMNS)
    for way in made.ways:
        many = crowd[way.name]
        # Several ports at a time would be several calls at a time.
        p50_ms = alone[way.name].p50_ms if len(way.ports) == 1 else None
        row: tuple[Cell, ...] = (
            way.name, p50_ms, None if p50_ms is None else p50_ms - alone["direct"].p50_ms, many.per_second,
            ratio(many.per_second, crowd["direct"].per_second),
            ratio(many.per_second, crowd["nginx"].per_second) if "nginx" in crowd else None,
            many.cpu_us if way.between else None, many.all_us, ratio(many.per_second * many.all_us / 1e6, cpu.CORES),
        )
        report.rows.append(row)
    report.notes.append(
        "CPU is that of the processes in between; of what the CPU allows: requests/s in terms of "
        f"{cpu.CORES} cores divided by the CPU per call of all processes together"
    )
    report.notes.extend([noise(alone, crowd), *made.notes])
    return report
