"""Cost of many sessions: opening a call, cleaning up, calls meanwhile, and Redis' memory."""

import asyncio
import gc
import random
import tempfile
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from longshore.shared.clock import monotonic_s
from longshore.shared.ids import new_id
from longshore.shared.jobs import Cleanup
from longshore.storage_worker.jobs.cleanup import cleanup
from tests.bench.populated import Populated, make_files, populated, script_us, upload
from tests.bench.report import Report, middle
from tests.fixtures.storage import until_workers, worker_process

_SIZES = (100, 1_000, 10_000, 100_000)
_OPENED_AT = (100, 10_000, 100_000)
_CLEANED_AT = (1_000, 100_000)
_OPENINGS = 1000
_DUE = 100
_MANY_DUE = 10_000
_CLIENTS = 4
_PAUSE_S = 0.01
_SETTLE_S = 5.0              # Redis goes on enlarging its tables for a while
_MAKE_DUE = """
local members = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)
for _, member in ipairs(members) do redis.call('ZADD', KEYS[1], 1, member) end
"""


async def measure(*, rounds: int, seconds: float) -> Report:
    """Everything on one Redis for each number of sessions, in turn."""
    return await asyncio.to_thread(lambda: uvloop.run(_measure(rounds, seconds)))


async def _measure(rounds: int, seconds: float) -> Report:
    columns = ("what", "value", "compared with", "ratio", "goal")
    report = Report("sessions", "sessions with an upload and an artifact each; uvloop, unix socket", columns)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ls-bench-", dir=_quick_folder())))
        at = {size: await populated(stack, folder, size) for size in _SIZES}
        largest = at[_SIZES[-1]]
        gc.freeze()  # the callers of this bench are no garbage, and a gateway does not hold them
        await asyncio.sleep(_SETTLE_S)
        await _openings(report, at, rounds)
        await _cycles(report, at, rounds)
        await _calls_meanwhile(report, largest, folder, rounds, seconds)
        each = largest.bytes_each
    report.rows.append(("Redis' memory a session, bytes", each, None, None, _goal(each, 2048)))
    return report


async def _openings(report: Report, at: dict[int, Populated], rounds: int) -> None:
    """Validate, bind, lease, touch: the time that a caller waits, and the time that Redis takes for it."""
    waits: dict[int, list[float]] = {size: [] for size in _OPENED_AT}
    takes: dict[int, list[float]] = {size: [] for size in _OPENED_AT}
    trips = 0.0
    for _ in range(rounds + 1):  # the first warms up
        for size in _OPENED_AT:
            wait, take, trips = await _opening(at[size])
            waits[size].append(wait)
            takes[size].append(take)
    report.rows.append(("round trips to open a call", trips, None, None, _goal(trips, 1)))
    for name, found, limit in (("opening a call, µs", waits, 1.3), ("of which Redis, µs", takes, None)):
        first = middle(found[_OPENED_AT[0]][1:])
        for size in _OPENED_AT:
            value = middle(found[size][1:])
            of_first = None if size == _OPENED_AT[0] else value / first
            goal = None if of_first is None or limit is None else _goal(of_first, limit)
            report.rows.append((f"{name}, {size:,} sessions", value, f"{_OPENED_AT[0]:,}", of_first, goal))


async def _opening(one: Populated) -> tuple[float, float, float]:
    """µs until a call is open, µs of Redis, and scripts run for it."""
    link = one.world.state.link
    callers = random.sample(one.callers, min(_OPENINGS, len(one.callers)))
    await link.call("CONFIG", "RESETSTAT")
    waits_us: list[float] = []
    for caller in callers * (_OPENINGS // len(callers)):
        lease, started_s = new_id(), monotonic_s()
        _ = await one.sessions.open_call(caller, lease=lease)
        waits_us.append((monotonic_s() - started_s) * 1e6)
        one.sessions.release_call(caller.session_id, lease)
    calls, take_us = await script_us(one.world)
    return middle(waits_us), take_us, calls / len(waits_us)


async def _cycles(report: Report, at: dict[int, Populated], rounds: int) -> None:
    """A clean-up with a hundred due uploads."""
    taken: dict[int, list[float]] = {size: [] for size in _CLEANED_AT}
    for _ in range(2 * rounds + 1):
        for size in _CLEANED_AT:
            taken[size].append(await _cycle(at[size]))
    few, many = (middle(taken[size][1:]) for size in _CLEANED_AT)
    names = [f"clean-up of {_DUE} due files, ms, {size:,} sessions" for size in _CLEANED_AT]
    report.rows.append((names[0], few, None, None, None))
    report.rows.append((names[1], many, f"{_CLEANED_AT[0]:,}", many / few, _goal(many / few, 1.5)))


async def _cycle(one: Populated) -> float:
    scope = random.choice(one.callers).session_id
    records = [upload(scope) for _ in range(_DUE)]
    await asyncio.to_thread(make_files, one.world.root, records)
    await one.world.state.files.commit(scope, records, ttl_ms=1)
    await one.world.until_due(_DUE)
    started_s = monotonic_s()
    _ = await cleanup.work(one.world.stores, Cleanup())
    return (monotonic_s() - started_s) * 1000


async def _calls_meanwhile(report: Report, one: Populated, folder: Path, rounds: int, seconds: float) -> None:
    """Calls of a few clients while another process cleans up, against those while it has nothing to do."""
    quiet: list[float] = []
    busy: list[float] = []
    cleaned_s: list[float] = []
    with worker_process(one.server.url, one.world.root, folder, "1"):
        await until_workers(one.world.state, 1)
        for _ in range(rounds):
            quiet.append(_p99(await _calls_until(one, asyncio.sleep(max(seconds, 2.0)))))
            await one.world.state.link.call("EVAL", _MAKE_DUE, 1, one.world.state.keys.upload_ends(), _MANY_DUE)
            started_s = monotonic_s()
            busy.append(_p99(await _calls_until(one, _nothing_due(one))))
            cleaned_s.append(monotonic_s() - started_s)
    before, meanwhile = middle(quiet), middle(busy)
    report.rows.append(("p99 of opening a call, µs", before, None, None, None))
    name = f"the same while {_MANY_DUE:,} files are cleaned up, µs"
    report.rows.append((name, meanwhile, "none", meanwhile / before, _goal(meanwhile / before, 2.0)))
    report.notes.append(f"cleaning up {_MANY_DUE:,} files took {middle(cleaned_s):.1f} s")


async def _calls_until(one: Populated, end: Awaitable[None]) -> list[float]:
    """Open and close calls at a steady pace until `end` is over: how long each waited, in µs."""
    waits_us: list[float] = []
    over = asyncio.Event()

    async def client() -> None:
        while not over.is_set():
            caller, lease = random.choice(one.callers), new_id()
            started_s = monotonic_s()
            _ = await one.sessions.open_call(caller, lease=lease)
            waits_us.append((monotonic_s() - started_s) * 1e6)
            one.sessions.release_call(caller.session_id, lease)
            await asyncio.sleep(_PAUSE_S)

    async def wait() -> None:
        await end
        over.set()

    await asyncio.gather(wait(), *(client() for _ in range(_CLIENTS)))
    return waits_us


async def _nothing_due(one: Populated) -> None:
    while await one.world.state.due.batch(1):
        await asyncio.sleep(0.02)


def _p99(waits_us: Sequence[float]) -> float:
    return sorted(waits_us)[int(len(waits_us) * 0.99)]


def _goal(value: float, limit: float) -> str:
    return f"{'held' if value <= limit else 'MISSED'} (≤ {limit:g})"


def _quick_folder() -> str | None:
    """A folder in memory: hundreds of thousands of files are made and removed, and none of that is measured."""
    shm = Path("/dev/shm")
    return str(shm) if shm.is_dir() else None
