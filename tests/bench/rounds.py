"""Repetitions, interleaved: every way is measured once a round, so that noise meets all of them alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from longshore.shared.clock import monotonic_s
from tests.bench import cpu
from tests.bench.load import Load, Total, drive
from tests.bench.report import middle
from tests.bench.stand import Stand, Way

LoadOf = Callable[[Way, int], Awaitable[Load]]    # of a way and one of its ports


@dataclass(frozen=True)
class Sample:
    """One run of one way."""

    total: Total
    cpu_us: float            # of the processes between, for each request
    all_us: float            # of these, the upstream, Redis and the load's own, for each request
    foreign: float           # cores that others took meanwhile


@dataclass(frozen=True)
class Samples:
    """All runs of one way, and their medians."""

    of: list[Sample]

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return middle([sample.total.per_second for sample in self.of])

    @property
    def p50_ms(self) -> float:
        """The median time of a request."""
        return middle([sample.total.p50_ms for sample in self.of])

    @property
    def cpu_us(self) -> float:
        """CPU of the processes between client and upstream, for each request."""
        return middle([sample.cpu_us for sample in self.of])

    @property
    def all_us(self) -> float:
        """CPU of everything that the bench runs, for each request."""
        return middle([sample.all_us for sample in self.of])

async def interleaved(stand: Stand, load_of: LoadOf, *, rounds: int) -> dict[str, Samples]:
    """`rounds` runs of every way, by its name."""
    taken: dict[str, list[Sample]] = {way.name: [] for way in stand.ways}
    loads = {way.name: [await load_of(way, port) for port in way.ports] for way in stand.ways}
    for number in range(rounds):
        # Back and forth: whatever grows warm or fills up does not always favour the same one.
        for way in stand.ways if number % 2 == 0 else reversed(stand.ways):
            taken[way.name].append(await _sample(way, loads[way.name]))
    return {name: Samples(samples) for name, samples in taken.items()}


async def _sample(way: Way, loads: list[Load]) -> Sample:
    before_s, ours_before_s, busy_before_s, started_s = way.used_s(), cpu.ours_s(), cpu.busy_s(), monotonic_s()
    total = await drive(loads)
    used_s, ours_s, busy_s = way.used_s() - before_s, cpu.ours_s() - ours_before_s, cpu.busy_s() - busy_before_s
    foreign = max(0.0, busy_s - ours_s) / (monotonic_s() - started_s)
    return Sample(total, used_s * 1e6 / total.requests, ours_s * 1e6 / total.requests, foreign)


def noise(*groups: dict[str, Samples]) -> str:
    """Other load of the machine: how far to trust the numbers."""
    foreign = middle([sample.foreign for samples in groups for way in samples.values() for sample in way.of])
    return f"processes that have nothing to do with the bench took {foreign:.2f} of {cpu.CORES} cores meanwhile"


def ratio(part: float, whole: float) -> float:
    """`part` in terms of `whole`."""
    return round(part / whole, 3)
