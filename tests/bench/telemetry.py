"""Cost of metrics, logs and traces per call, exported to a collector on this host."""

from functools import partial
from typing import Any

from longshore.shared.config import Telemetry
from tests.bench import messages
from tests.bench.load import Load, generator
from tests.bench.report import Report
from tests.bench.rounds import interleaved, noise, ratio
from tests.bench.stand import Way
from tests.bench.variants import Variant, variants
from tests.fixtures.collector import over_grpc

_CONNECTIONS = 32
_LONGEST_INTERVAL_S = Telemetry().export_interval_seconds
_OFF = Variant("all off", {"telemetry": {"prometheus": {"enabled": False}}})


async def measure(*, rounds: int, seconds: float) -> Report:
    """32 calls at a time with nothing, with the defaults and logs, and with a trace of every call.

    Each measurement takes 15 s at least, so that every signal's default interval is in each.
    """
    seconds = max(seconds, _LONGEST_INTERVAL_S)
    columns = ("way", "requests/s", "CPU µs a call", "to all off", "goal")
    report = Report("telemetry", f"calls that pass through, {_CONNECTIONS} at a time, load by {generator()}", columns)
    with over_grpc() as collector:
        usual, every = (
            Variant(f"metrics, logs, {share:.0%} traced", {"telemetry": _exporting(collector.url, share)})
            for share in (0.05, 1.0)
        )
        async with variants((_OFF, usual, every)) as made:
            taken = await interleaved(made, partial(_load, seconds), rounds=rounds)
        if not (collector.requests["traces"] and collector.requests["metrics"]):
            raise RuntimeError("the collector got nothing")
    base_us = taken[_OFF.name].cpu_us
    for name, found in taken.items():
        goal = "≤ 1.07" if name == usual.name else None
        report.rows.append((name, found.per_second, found.cpu_us, ratio(found.cpu_us, base_us), goal))
    report.notes.extend([
        noise(taken),
        "over grpc at the default intervals and log level; the collector's CPU counts as the bench's own",
    ])
    return report


def _exporting(url: str, share: float) -> dict[str, Any]:
    """Everything exported at the intervals that users get."""
    return {"enabled": True, "endpoint": url, "emit_logs": True, "traces": {"sample_ratio": share}}


async def _load(seconds: float, way: Way, port: int) -> Load:
    sessions = [await messages.open_session(way, port) for _ in range(_CONNECTIONS)]
    requests = [messages.call(way, port, session) for session in sessions]
    return Load(port=port, requests=requests, connections=_CONNECTIONS, seconds=seconds)
