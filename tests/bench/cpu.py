"""CPU time of processes, from /proc."""

import os
import resource
from collections.abc import Iterable
from pathlib import Path

CORES = os.cpu_count() or 1

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def used_s(pids: Iterable[int]) -> float:
    """Seconds of CPU that these processes and their living children have used so far, all threads included."""
    return sum(_own_s(pid) + used_s(_children(pid)) for pid in pids)


def ours_s() -> float:
    """Seconds of CPU that this process, its living children and those that it waited for have used so far."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used_s([os.getpid()]) + ended.ru_utime + ended.ru_stime


def busy_s() -> float:
    """Seconds of CPU that the whole machine has used so far."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + irq + softirq) * _TICK_S


def _own_s(pid: int) -> float:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) * _TICK_S


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
