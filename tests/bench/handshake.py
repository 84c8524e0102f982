"""Handshake of every client: initialize, initialized, tools/list."""

from functools import partial

from tests.bench import messages
from tests.bench.load import Load, generator
from tests.bench.report import Report
from tests.bench.rounds import interleaved, noise, ratio
from tests.bench.stand import Way, stand

_CONNECTIONS = 8


async def measure(*, rounds: int, seconds: float) -> Report:
    """Eight clients that open one session after the other."""
    columns = ("way", "sessions/s", "to direct", "to nginx", "CPU µs a session")
    title = f"initialize, initialized, tools/list, {_CONNECTIONS} clients at a time, load by {generator()}"
    report = Report("handshake", title, columns)
    async with stand(gateways=1) as made:
        taken = await interleaved(made, partial(_load, seconds), rounds=rounds)
        for way in made.ways:
            found = taken[way.name]
            to_nginx = ratio(found.per_second, taken["nginx"].per_second) if "nginx" in taken else None
            to_direct = ratio(found.per_second, taken["direct"].per_second)
            steps = len(messages.handshake(way, way.ports[0]))
            report.rows.append((
                way.name, found.per_second / steps, to_direct, to_nginx, found.cpu_us * steps if way.between else None
            ))
        report.notes.extend([noise(taken), *made.notes])
    return report


async def _load(seconds: float, way: Way, port: int) -> Load:
    requests = messages.handshake(way, port)
    return Load(port=port, requests=requests, connections=_CONNECTIONS, seconds=seconds, chained=True)
