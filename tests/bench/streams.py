"""A thousand clients that listen and hear nothing: what their streams cost, and what calls beside them notice."""

import asyncio
import os
from contextlib import suppress
from functools import partial

from longshore.shared.clock import monotonic_s
from tests.bench import cpu, messages
from tests.bench.load import Load
from tests.bench.own_client import Loader
from tests.bench.report import Report, middle
from tests.bench.rounds import ratio
from tests.bench.stand import Way, stand
from tests.fixtures.leaks import resident_kib

_STREAMS = 1_000
_AT_ONCE = 50                # streams opened at the same time
_CONNECTIONS = 8             # that make calls


async def measure(*, rounds: int, seconds: float) -> Report:
    """Calls with and without the streams in turn; memory from the first time that they are opened."""
    columns = ("streams", "calls/s", "p50 ms", "p99 ms", "p99 to none", "KiB a stream")
    report = Report("streams", f"{_STREAMS} standing streams on one gateway process, and calls beside them", columns)
    without: list[list[float]] = []
    beside: list[list[float]] = []
    kib: list[float] = []
    async with stand(gateways=1) as made:
        way = made.ways[-1]
        [port], [gateway] = way.ports, way.between
        sessions = [await messages.open_session(way, port) for _ in range(_STREAMS)]
        calls = Load(
            port=port, requests=[messages.call(way, port, session) for session in sessions[:_CONNECTIONS]],
            connections=_CONNECTIONS, seconds=seconds,
        )
        await _took_s(calls)    # warm: what calls alone allocate is not the streams'
        started_s, busy_s, ours_s = monotonic_s(), cpu.busy_s(), cpu.ours_s()
        for _ in range(rounds):
            without.append(await _took_s(calls))
            before_kib = resident_kib(gateway.pid)
            listening = await _listen(way, port, sessions)
            if len(os.listdir(f"/proc/{gateway.pid}/fd")) < 2 * _STREAMS:
                raise RuntimeError("the gateway does not hold every stream and a connection upstream for each")
            kib.append((resident_kib(gateway.pid) - before_kib) / _STREAMS)
            beside.append(await _took_s(calls))
            await asyncio.gather(*(_hang_up(writer) for writer in listening))
        foreign = (cpu.busy_s() - busy_s - cpu.ours_s() + ours_s) / (monotonic_s() - started_s)
    quiet_ms = middle([_p99_ms(took_s) for took_s in without])
    for count, runs, memory in ((0, without, None), (_STREAMS, beside, kib[0])):
        p99_ms = middle([_p99_ms(took_s) for took_s in runs])
        report.rows.append((
            count, middle([len(took_s) / seconds for took_s in runs]),
            middle([middle(took_s) * 1000 for took_s in runs]), p99_ms, ratio(p99_ms, quiet_ms), memory,
        ))
    report.notes.append(f"{_CONNECTIONS} calls at a time; each stream has a session of its own")
    report.notes.append(f"other processes took {foreign:.2f} of {cpu.CORES} cores meanwhile")
    report.notes.extend(made.notes)
    return report


async def _took_s(load: Load) -> list[float]:
    """Duration of each call."""
    loop = asyncio.get_running_loop()
    loaders: list[Loader] = []
    for n in range(load.connections):
        _, loader = await loop.create_connection(partial(Loader, load, n), "127.0.0.1", load.port)
        loaders.append(loader)
    await asyncio.sleep(load.seconds)
    for loader in loaders:
        loader.close()
    if failures := sum(loader.failures for loader in loaders):
        raise RuntimeError(f"{failures} calls failed")
    return [took_s for loader in loaders for took_s in loader.took_s]


def _p99_ms(took_s: list[float]) -> float:
    return sorted(took_s)[len(took_s) * 99 // 100] * 1000


async def _listen(way: Way, port: int, sessions: list[bytes]) -> list[asyncio.StreamWriter]:
    """A standing stream for each session, its head come."""
    opened: list[asyncio.StreamWriter] = []
    for start in range(0, len(sessions), _AT_ONCE):
        opened += await asyncio.gather(*(_open(way, port, session) for session in sessions[start:start + _AT_ONCE]))
    return opened


async def _open(way: Way, port: int, session: bytes) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(messages.listen(way, port, session))
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"no stream was opened: {status.decode()}")
    await reader.readuntil(b"\r\n\r\n")
    return writer


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
