"""Which processes `longshore up` runs and how each one ends. Pure.

Everything is stopped within five seconds, and four more where a collector hangs: the graces below add up to less.
"""

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from longshore.cli import embedded
from longshore.cli.supervise import ChildSpec

DRAIN_S = 1     # what gateway and worker may let unfinished work take, instead of core.shutdown_grace_seconds

# -P: a folder of the same name where the user stands must not shadow our packages.
_PYTHON = (sys.executable, "-P", "-m")


def redis(binary: Path, *, state: Path, socket: Path, persist: bool, lock: int, env: Mapping[str, str]) -> ChildSpec:
    """The private server. It inherits the folder's lock, and saves what it has when it is orphaned."""
    return ChildSpec(
        name="private Redis",
        argv=embedded.server_command(binary, state=state, socket=socket, persist=persist),
        env=env,
        grace_s=0.5,                # a killed one loses nothing either: it writes before it answers
        orphan_signal=signal.SIGTERM,
        pass_fds=(lock,),
        output=state / "redis.log",
    )


def gateway(config_file: Path, options: Sequence[str], env: Mapping[str, str], *, export_s: float = 0) -> ChildSpec:
    """The gateway, which drains its calls before it ends: aiohttp waits once for handlers, and once more for
    those it then cancels. `export_s` is for its last export."""
    argv = (*_PYTHON, "longshore", "gateway", "--config", str(config_file), *options)
    return ChildSpec(name="gateway", argv=argv, env=env, grace_s=2 * DRAIN_S + export_s + 0.3)


def worker(config_file: Path, options: Sequence[str], env: Mapping[str, str], *, export_s: float = 0) -> ChildSpec:
    """The worker; an unfinished job is done again by the next one."""
    argv = (*_PYTHON, "longshore", "worker", "--config", str(config_file), *options)
    return ChildSpec(name="worker", argv=argv, env=env, grace_s=DRAIN_S + export_s + 0.2)


def demo_upstream(listening: int, output: Path, env: Mapping[str, str]) -> ChildSpec:
    """The demonstration's MCP server, on a listening socket that it inherits."""
    argv = (*_PYTHON, "longshore.cli.demo.upstream", str(listening))
    return ChildSpec(name="demo upstream", argv=argv, env=env, grace_s=0.5, pass_fds=(listening,), output=output)
