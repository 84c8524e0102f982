"""Files by PUT, from the first byte to the receipt, beside a script that writes, hashes and fsyncs the same bytes."""

import asyncio
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from longshore.shared.clock import monotonic_s
from tests.bench import cpu, transfer
from tests.bench.files_stand import FilesStand, files_stand
from tests.bench.report import Report, middle
from tests.bench.rounds import ratio
from tests.fixtures.processes import REPOSITORY

_MIB = 1024 * 1024
COLUMNS = ("files", "MiB/s", "a script's", "to script", "goal", "CPU ms a MiB", "peak MiB above idle")
_SMALL = 50                  # uploads of 1 KiB a round, one after the other


@dataclass(frozen=True)
class Case:
    """So many files of one size, all at once."""

    name: str
    source: Path
    count: int

    @property
    def mib(self) -> float:
        return self.source.stat().st_size * self.count / _MIB


async def measure(*, rounds: int, seconds: float) -> Report:
    """Each case by longshore and by the script, in turn. How long a measurement takes is up to the disk."""
    report = Report("uploads", "PUT on one gateway and one worker", COLUMNS)
    async with files_stand() as made:
        idle_mib = made.resident_mib()
        small = source_of(made.folder, "small", 1024)
        started_s, busy_s, ours_s = monotonic_s(), cpu.busy_s(), cpu.ours_s()
        waits_ms = [wait for _ in range(rounds) for wait in await _one_by_one(made, small)]
        for case in (
            Case("1 × 100 MiB", source_of(made.folder, "large", 100 * _MIB), 1),
            Case("16 × 10 MiB", source_of(made.folder, "middle", 10 * _MIB), 16),
        ):
            report.rows.append(await compared(made, case, rounds, idle_mib))
        foreign = (cpu.busy_s() - busy_s - cpu.ours_s() + ours_s) / (monotonic_s() - started_s)
    report.notes.append(f"1 KiB, one after the other: {middle(waits_ms):.2f} ms at p50, of {len(waits_ms)} (goal ≤ 5)")
    report.notes.append(f"idle: {idle_mib:.0f} MiB for gateway and worker together; goal: a peak ≤ 60 MiB above that")
    report.notes.append(f"other processes took {foreign:.2f} of {cpu.CORES} cores meanwhile")
    return report


async def compared(
    made: FilesStand, case: Case, rounds: int, idle_mib: float
) -> tuple[str, float, float, float, str, float, float]:
    """One case, `rounds` times each by longshore and by the script: a row of the table."""
    ours, plain, used = [], [], []
    _ = made.resident_mib()
    for number in range(rounds):
        for is_ours in (True, False) if number % 2 == 0 else (False, True):
            if not is_ours:
                plain.append(case.mib / await _plain_s(made, case))
                continue
            before_s = made.used_s()
            ours.append(case.mib / await _put_s(made, case))
            used.append((made.used_s() - before_s) * 1000 / case.mib)
    rate, script = middle(ours), middle(plain)
    return case.name, rate, script, ratio(rate, script), "≥ 0.7", middle(used), made.peak_mib() - idle_mib


async def _put_s(made: FilesStand, case: Case) -> float:
    links = [await made.client.upload_url() for _ in range(case.count)]
    begun_s = monotonic_s()
    await transfer.at_once([partial(transfer.put, link, case.source) for link in links])
    return monotonic_s() - begun_s


async def _one_by_one(made: FilesStand, source: Path) -> list[float]:
    waits_ms = []
    for _ in range(_SMALL):
        link = await made.client.upload_url()
        begun_s = monotonic_s()
        await transfer.at_once([partial(transfer.put, link, source)])
        waits_ms.append((monotonic_s() - begun_s) * 1000)
    return waits_ms


async def _plain_s(made: FilesStand, case: Case) -> float:
    argv = [sys.executable, "-m", "tests.bench.plain_write", str(case.source), str(made.folder), str(case.count)]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY)
    printed, _ = await process.communicate()
    return float(printed)


def source_of(folder: Path, name: str, size_bytes: int) -> Path:
    """A file of this size that no disk can make smaller."""
    path = folder / name
    block = os.urandom(min(size_bytes, _MIB))
    with path.open("wb") as file:
        for _ in range(size_bytes // len(block)):
            file.write(block)
    return path
