"""Child processes of `longshore up`: restarted, given up, stopped in order, and never orphaned."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from longshore.cli.supervise import ChildSpec, Supervisor
from tests.integration.up_fixtures import until_gone

_STUBBORN = "trap '' TERM; while :; do sleep 0.05; done"
_MODES = pytest.mark.parametrize("by_kernel", [sys.platform == "linux", False], ids=["kernel", "pipe"])


def _shell(name: str, script: str, *, grace_s: float = 2.0, output: Path | None = None) -> ChildSpec:
    return ChildSpec(
        name=name, argv=("/bin/sh", "-c", script), env={"PATH": "/usr/bin:/bin"}, grace_s=grace_s, output=output
    )


async def _until(path: Path, *, lines: int = 1) -> list[str]:
    async with asyncio.timeout(10):
        while not path.exists() or len(path.read_text().splitlines()) < lines:
            await asyncio.sleep(0.01)
    return path.read_text().splitlines()


@_MODES
async def test_a_child_that_was_killed_is_restarted(tmp_path: Path, by_kernel: bool) -> None:
    pids = tmp_path / "pids"
    async with Supervisor(by_kernel=by_kernel) as children:
        children.start(_shell("worker", f"echo $$ >> {pids}; exec sleep 60"))
        [first] = await _until(pids)

        os.kill(int(first), signal.SIGKILL)
        _, second = await _until(pids, lines=2)

    assert first != second
    await until_gone(int(second))


async def test_a_child_that_cannot_run_is_given_up_with_its_last_output(tmp_path: Path) -> None:
    async with Supervisor() as children:
        children.start(_shell("gateway", "echo the key is wrong; exit 2", output=tmp_path / "output"))

        async with asyncio.timeout(20):
            failure = await children.wait_for_failure()

    assert str(failure) == "the gateway does not stay up (exit status 2); its last output: the key is wrong"


async def test_a_program_that_is_not_there_is_given_up(tmp_path: Path) -> None:
    output = tmp_path / "output"
    spec = ChildSpec(name="ghost", argv=(str(tmp_path / "ghost"),), env={}, grace_s=1, output=output)
    async with Supervisor() as children:
        children.start(spec)

        async with asyncio.timeout(20):
            failure = await children.wait_for_failure()

    assert "the ghost does not stay up" in str(failure)
    assert "No such file or directory" in str(failure)


@_MODES
async def test_children_are_stopped_last_started_first(tmp_path: Path, by_kernel: bool) -> None:
    order = tmp_path / "order"
    script = "trap 'echo {name} >> {order}; exit 0' TERM; echo up >> {order}; while :; do sleep 0.05; done"
    async with Supervisor(by_kernel=by_kernel) as children:
        for name in ("redis", "worker", "gateway"):
            children.start(_shell(name, script.format(name=name, order=order), grace_s=20))
        await _until(order, lines=3)

    assert order.read_text().split() == ["up", "up", "up", "gateway", "worker", "redis"]


@_MODES
async def test_a_child_that_ignores_sigterm_is_killed_after_its_grace_time(tmp_path: Path, by_kernel: bool) -> None:
    pids = tmp_path / "pids"
    async with Supervisor(by_kernel=by_kernel) as children:
        children.start(_shell("stubborn", f"echo $$ > {pids}; {_STUBBORN}", grace_s=0.2))
        [pid] = await _until(pids)

        async with asyncio.timeout(20):
            await children.stop()

    await until_gone(int(pid))


async def test_kill_all_ends_a_long_grace_time(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with Supervisor() as children:
        children.start(_shell("stubborn", f"echo $$ > {pids}; {_STUBBORN}", grace_s=60))
        await _until(pids)

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(children.stop())
            await asyncio.sleep(0)
            children.kill_all()

    assert children.pid_of("stubborn") is None


_PARENT = """
import asyncio, sys
from longshore.cli.supervise import ChildSpec, Supervisor
from tests.integration.up_fixtures import until_gone


async def main():
    async with Supervisor(by_kernel=sys.argv[2] == "kernel") as children:
        for name in ("a", "b"):
            script = f"trap '' HUP INT; echo $$ >> {sys.argv[1]}; while :; do sleep 0.05; done"
            argv = ("/bin/sh", "-c", script)
            children.start(ChildSpec(name=name, argv=argv, env={"PATH": "/usr/bin:/bin"}, grace_s=1))
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("mode", ["kernel", "pipe"])
async def test_no_child_outlives_a_parent_that_was_killed(tmp_path: Path, mode: str) -> None:
    if mode == "kernel" and sys.platform != "linux":
        pytest.skip("only Linux tells a child by a signal")
    pids = tmp_path / "pids"
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(pids), mode])
    try:
        children = [int(pid) for pid in await _until(pids, lines=2)]
    finally:
        parent.kill()
        parent.wait()

    await until_gone(*children)
