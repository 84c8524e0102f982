"""Uploads of 1 GiB and of 4 GiB, once each, as `uploads` has them. Takes 13 GiB of disk, and runs only when asked."""

from tests.bench.files_stand import files_stand
from tests.bench.report import Report
from tests.bench.uploads import COLUMNS, Case, compared, source_of

_GIB = 1024**3


async def measure(*, rounds: int, seconds: float) -> Report:
    """Once each, whatever `rounds` says. How long that takes is up to the disk."""
    report = Report("huge", "PUT of one file on one gateway and one worker, once", COLUMNS)
    for gib in (1, 4):
        async with files_stand() as made:      # ends with all that it made
            idle_mib = made.resident_mib()
            case = Case(f"1 × {gib} GiB", source_of(made.folder, "huge", gib * _GIB), 1)
            report.rows.append(await compared(made, case, 1, idle_mib))
    report.notes.append("goal: a peak ≤ 60 MiB above idle at any size")
    return report
