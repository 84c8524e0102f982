"""Load on one address: what to send, and the two generators that can send it.

`wrk` where it is installed, because it costs little beside what is measured; else a client of ours.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.bench import wrk
from tests.fixtures.processes import REPOSITORY


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one run to one port on this host.

    `requests` are whole HTTP requests, taken in turn. With `chained` they belong together: each connection
    sends one after the other and puts the session id of the first answer where `SESSION` stands.
    """

    port: int
    requests: list[bytes]
    connections: int
    seconds: float
    chained: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a run. `failures` counts answers that are not 2xx and broken connections."""

    requests: int
    seconds: float
    p50_ms: float
    failures: int = 0


@dataclass(frozen=True)
class Total:
    """Several loads at the same time, together."""

    requests: int
    per_second: float
    p50_ms: float


def generator() -> str:
    """The name of the generator that `drive` uses."""
    return "wrk" if shutil.which("wrk") else "own client"


async def drive(loads: Sequence[Load]) -> Total:
    """Run the loads at the same time. Raises RuntimeError when any request fails: its time means nothing."""
    run_one = _wrk if shutil.which("wrk") else _own
    outcomes = await asyncio.gather(*(run_one(load) for load in loads))
    failures = sum(outcome.failures for outcome in outcomes)
    if failures:
        raise RuntimeError(f"{failures} of {sum(outcome.requests for outcome in outcomes)} requests failed")
    return Total(
        sum(outcome.requests for outcome in outcomes),
        sum(outcome.requests / outcome.seconds for outcome in outcomes),
        sum(outcome.p50_ms for outcome in outcomes) / len(outcomes),
    )


async def _wrk(load: Load) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        script = Path(folder) / "load.lua"
        script.write_text(wrk.chained(load.requests) if load.chained else wrk.in_turn(load.requests))
        threads = load.connections if load.chained else 1
        printed = await _run([
            "wrk", f"-t{threads}", f"-c{load.connections}", f"-d{load.seconds:.0f}s", "--timeout", "30s", "-s", script,
            f"http://127.0.0.1:{load.port}/",
        ])
    return msgspec.json.decode(printed.rpartition("OUTCOME ")[2], type=Outcome)


async def _own(load: Load) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        spec = Path(folder) / "load.json"
        spec.write_bytes(msgspec.json.encode(load))
        printed = await _run([sys.executable, "-m", "tests.bench.own_client", spec])
    return msgspec.json.decode(printed, type=Outcome)


async def _run(argv: Sequence[str | Path]) -> str:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=REPOSITORY
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}: {err.decode()}")
    return out.decode()
