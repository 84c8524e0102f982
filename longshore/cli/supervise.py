"""Supervisor of child processes: starts them in order, restarts them after crashes, and stops them in reverse order.

Each child has one task, which alone starts it, waits for it, restarts it and stops it.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from longshore.cli.errors import StartFailed
from longshore.cli.restarts import RestartPolicy
from longshore.shared.clock import monotonic_s
from longshore.shared.tasks import Tasks

log = structlog.get_logger(__name__)

_GUARD = Path(__file__).with_name("childguard.py")
_KERNEL = "kernel"


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """Command, environment and shutdown of one child process."""

    name: str                                   # in messages
    argv: Sequence[str]                         # argv[0] is an absolute path
    env: Mapping[str, str]
    grace_s: float                              # from SIGTERM to SIGKILL when it is stopped
    orphan_signal: signal.Signals = signal.SIGKILL  # sent when its parent is killed
    pass_fds: Sequence[int] = ()
    output: Path | None = None                  # file for stdout and stderr; None: those of this process


@dataclass(kw_only=True)
class _Child:
    spec: ChildSpec
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    pid: int | None = None                      # while it runs


class Supervisor:
    """Starts children in order; the end of the block stops them in reverse order."""

    def __init__(self, *, by_kernel: bool = sys.platform == "linux") -> None:
        """Without `by_kernel`, children watch a pipe to notice the end of this process."""
        self._children: list[_Child] = []
        self._tasks = Tasks()
        self._by_kernel = by_kernel
        self._lifeline: tuple[int, int] | None = None
        self._failure: asyncio.Future[StartFailed] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        if not self._by_kernel:
            self._lifeline = os.pipe()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        for end in self._lifeline or ():
            os.close(end)

    def start(self, spec: ChildSpec) -> None:
        """Run `spec` until `stop`; restart it when it ends, and give up after too many crashes."""
        child = _Child(spec=spec)
        child.task = self._tasks.start(self._keep_running(child), name=f"keep {spec.name}")
        self._children.append(child)

    def pid_of(self, name: str) -> int | None:
        """Process id of the child `name`; None while it does not run."""
        return next((child.pid for child in self._children if child.spec.name == name), None)

    async def wait_for_failure(self) -> StartFailed:
        """Wait until a child is given up. Returns the error that names it."""
        return await asyncio.shield(self._failure)

    async def stop(self) -> None:
        """Stop every child, last started first, and wait for them. Safe to repeat."""
        for child in reversed(self._children):
            child.stop.set()
            if child.task is not None:
                await asyncio.wait({child.task})
        await self._tasks.close()

    def kill_all(self) -> None:
        """Kill every running child, which ends the wait in `stop`."""
        for child in self._children:
            if child.pid is not None:
                _kill_group(child.pid)

    async def _keep_running(self, child: _Child) -> None:
        restarts = RestartPolicy()
        while not child.stop.is_set():
            started_s = monotonic_s()
            try:
                process = await self._spawn(child.spec)
            except OSError as err:
                self._give_up(child.spec, f"it cannot be started: {err}")
                return
            child.pid = process.pid
            await self._wait_for_end(process, child)
            child.pid = None
            if child.stop.is_set():
                return
            delay_s = restarts.next_delay_s(process.returncode or 0, lived_s=monotonic_s() - started_s)
            if delay_s is None:
                self._give_up(child.spec, f"exit status {process.returncode}")
                return
            log.warning("child_ended", child=child.spec.name, status=process.returncode, restart_in_s=delay_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await child.stop.wait()

    async def _wait_for_end(self, process: asyncio.subprocess.Process, child: _Child) -> None:
        ended = self._tasks.start(process.wait(), name=f"wait for {child.spec.name}")
        stopping = self._tasks.start(child.stop.wait(), name=f"stop {child.spec.name}")
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait({ended}, timeout=child.spec.grace_s)
        if not ended.done():
            log.warning("child_killed", child=child.spec.name, grace_s=child.spec.grace_s)
            _kill_group(process.pid)
            await asyncio.wait({ended})
        if not self._by_kernel:
            _kill_group(process.pid)  # in case the guard was killed and its command still runs

    async def _spawn(self, spec: ChildSpec) -> asyncio.subprocess.Process:
        """Start `spec` in its own session: Ctrl-C reaches only this process, which stops the children in order."""
        lifeline = _KERNEL if self._lifeline is None else str(self._lifeline[0])
        guard = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(int(spec.orphan_signal)), lifeline]
        sink = None if spec.output is None else os.open(spec.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                *guard,
                *spec.argv,
                env=dict(spec.env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                pass_fds=(*spec.pass_fds, *(() if self._lifeline is None else self._lifeline[:1])),
            )
        finally:
            if sink is not None:
                os.close(sink)

    def _give_up(self, spec: ChildSpec, why: str) -> None:
        output = "" if spec.output is None else f"; its last output: {_last_lines(spec.output)}"
        if not self._failure.done():
            self._failure.set_result(StartFailed(f"the {spec.name} does not stay up ({why}){output}"))


def _kill_group(pid: int) -> None:
    """Kill a child and its own children: each child leads a process group."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _last_lines(output: Path) -> str:
    lines = [line.strip() for line in output.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-3:]) or "nothing"
