"""Results of 1 MiB on their way to the client."""

from functools import partial

from tests.bench import messages
from tests.bench.load import Load, generator
from tests.bench.report import Report
from tests.bench.rounds import interleaved, noise, ratio
from tests.bench.stand import Way, stand

_CONNECTIONS = 4


async def measure(*, rounds: int, seconds: float) -> Report:
    """Four calls at a time of a tool that answers with 1 MiB."""
    columns = ("way", "results/s", "to direct", "to nginx", "CPU µs a result")
    report = Report("large", f"results of 1 MiB, {_CONNECTIONS} calls at a time, load by {generator()}", columns)
    async with stand(gateways=1) as made:
        taken = await interleaved(made, partial(_load, seconds), rounds=rounds)
        for way in made.ways:
            found = taken[way.name]
            to_nginx = ratio(found.per_second, taken["nginx"].per_second) if "nginx" in taken else None
            to_direct = ratio(found.per_second, taken["direct"].per_second)
            report.rows.append(
                (way.name, found.per_second, to_direct, to_nginx, found.cpu_us if way.between else None)
            )
        report.notes.extend([noise(taken), *made.notes])
    return report


async def _load(seconds: float, way: Way, port: int) -> Load:
    requests = [
        messages.call(way, port, await messages.open_session(way, port), tool=b"large") for _ in range(_CONNECTIONS)
    ]
    return Load(port=port, requests=requests, connections=_CONNECTIONS, seconds=seconds)
