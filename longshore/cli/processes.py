"""Command lines and shutdown times of the processes of `longshore up`. Pure.

All of them stop within five seconds, and four more if a telemetry collector hangs: the times below add up to less.
"""

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from longshore.cli import embedded
from longshore.cli.supervise import ChildSpec

DRAIN_S = 1     # for unfinished work of gateway and worker, if core.shutdown_grace_seconds is longer

# -P: a folder of the same name in the current directory must not shadow the package.
_PYTHON = (sys.executable, "-P", "-m")


def redis(binary: Path, *, state: Path, socket: Path, persist: bool, lock: int, env: Mapping[str, str]) -> ChildSpec:
    """Specify the private Redis. It inherits the folder's lock and ends by SIGTERM if its parent is killed."""
    return ChildSpec(
        name="private Redis",
        argv=embedded.server_command(binary, state=state, socket=socket, persist=persist),
        env=env,
        grace_s=0.5,                # a kill loses nothing: it writes before it answers
        orphan_signal=signal.SIGTERM,
        pass_fds=(lock,),
        output=state / "redis.log",
    )


def gateway(config_file: Path, options: Sequence[str], env: Mapping[str, str], *, export_s: float = 0) -> ChildSpec:
    """Specify the gateway; `export_s` is for its last export of telemetry.

    It drains its calls before it ends: aiohttp waits once for handlers, and once more for those it then cancels.
    """
    argv = (*_PYTHON, "longshore", "gateway", "--config", str(config_file), *options)
    return ChildSpec(name="gateway", argv=argv, env=env, grace_s=2 * DRAIN_S + export_s + 0.3)


def worker(config_file: Path, options: Sequence[str], env: Mapping[str, str], *, export_s: float = 0) -> ChildSpec:
    """Specify the worker; another worker repeats an unfinished job."""
    argv = (*_PYTHON, "longshore", "worker", "--config", str(config_file), *options)
    return ChildSpec(name="worker", argv=argv, env=env, grace_s=DRAIN_S + export_s + 0.2)


def demo_upstream(listening: int, output: Path, env: Mapping[str, str]) -> ChildSpec:
    """Specify the MCP server of the demonstration, with a listening socket that it inherits."""
    argv = (*_PYTHON, "longshore.cli.demo.upstream", str(listening))
    return ChildSpec(name="demo upstream", argv=argv, env=env, grace_s=0.5, pass_fds=(listening,), output=output)
