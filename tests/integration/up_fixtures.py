"""`longshore up` as a child of a test: its output, its processes, and a check that none is left."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp

from tests.fixtures.processes import LONGSHORE, PORTS, Process, run

READY = "longshore is ready"
STAYS_UP = "runs until Ctrl-C"


@contextmanager
def demo(folder: Path, port: int, *options: str) -> Iterator[Process]:
    """`longshore up --demo` with its data in `folder`, on `port` and the two after it."""
    argv: list[str | Path] = [*LONGSHORE, "up", "--demo", "--data", data_of(folder), "--port", str(port), *options]
    with run(argv, folder=folder) as process:
        yield process


def data_of(folder: Path) -> Path:
    """The data folder of `demo(folder, …)`."""
    return folder / "data"


def three_free_ports() -> int:
    """The first of three neighbours that nobody listens on."""
    return PORTS.take("127.0.0.1", count=3)


async def until_printed(process: Process, text: str, *, within_s: float = 30) -> None:
    """Wait until `process` has written `text`. Fails with its output when it ends before."""
    async with asyncio.timeout(within_s):
        while text not in process.output():
            process.check()
            await asyncio.sleep(0.02)


async def until_healthy_again(port: int, *, within_s: float = 15) -> None:
    """Wait until the gateway answers 200."""
    async with asyncio.timeout(within_s), aiohttp.ClientSession() as http:
        while not await _answers(http, f"http://127.0.0.1:{port}/healthz"):
            await asyncio.sleep(0.05)


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def children_of(process: Process) -> dict[int, str]:
    """The command lines of what `process` has started, by process id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if _stat(int(entry.name))[1] == str(process.pid):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def child(process: Process, role: str) -> int:
    """The id of the one child of `process` with `role` in its command line."""
    [pid] = [pid for pid, words in children_of(process).items() if role in words]
    return pid


def is_running(pid: int) -> bool:
    """True if the process runs: a zombie does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return _stat(pid)[0] not in ("Z", "X")
    return False


async def until_gone(*pids: int, within_s: float = 20) -> None:
    """Wait until none of `pids` runs."""
    async with asyncio.timeout(within_s):
        while any(map(is_running, pids)):
            await asyncio.sleep(0.01)


def _stat(pid: int) -> list[str]:
    """State and parent of a process (proc_pid_stat(5)); its name, in parentheses, may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]


def end(process: Process, signum: signal.Signals) -> tuple[int, float]:
    """Send `signum`; returns the exit status and the seconds it took."""
    begun = time.perf_counter()
    os.kill(process.pid, signum)
    status = process.wait(within_s=10)
    return status, time.perf_counter() - begun


def sockets_in(folder: Path) -> list[Path]:
    """Unix sockets below `folder`."""
    return [path for path in folder.rglob("*") if path.is_socket()]
