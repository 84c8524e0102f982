"""The processes that a bench of files compares with others: a gateway and a worker as shipped, on one disk."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from redis import Redis

from longshore.shared.keys import Keys
from tests.bench import cpu
from tests.fixtures.gateway import Backing, Client, consumer, entry, producer
from tests.fixtures.leaks import resident_kib
from tests.fixtures.processes import LONGSHORE, Process, free_port, private_redis, run, until_listening
from tests.fixtures.upstreams import ScriptedUpstream, scripted

_MAX_FILE = "5Gi"


@dataclass(frozen=True)
class FilesStand:
    """A client whose session is open, and what is behind it. `folder` is on the disk of the storage."""

    folder: Path
    gateway: Process
    worker: Process
    upstream: ScriptedUpstream
    client: Client

    def used_s(self) -> float:
        """Seconds of CPU that gateway and worker have used so far."""
        return cpu.used_s([self.gateway.pid, self.worker.pid])

    def resident_mib(self) -> float:
        """Memory of gateway and worker, and from now on their peaks are counted anew."""
        for process in (self.gateway, self.worker):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        return sum(resident_kib(process.pid) for process in (self.gateway, self.worker)) / 1024

    def peak_mib(self) -> float:
        """The most that each of the two has had since then, together."""
        return sum(_peak_kib(process.pid) for process in (self.gateway, self.worker)) / 1024


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


@asynccontextmanager
async def files_stand(*adapters: dict[str, Any]) -> AsyncIterator[FilesStand]:
    """A server whose tool `read` takes a file and `write` makes one, unless it has other adapters."""
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        os.chmod(folder, 0o711)    # another server's worker may be of another user
        url = running.enter_context(private_redis())
        upstream = await running.enter_async_context(scripted("read", "write"))
        Backing(url, folder).config(
            entry(upstream.url, *(adapters or (consumer("read"), producer("write")))),
            core={"allow_artifacts_download": True}, uploads={"max_file_bytes": _MAX_FILE},
        )
        config, port = folder / "config.yaml", free_port()
        shipped: list[list[str | Path]] = [
            [*LONGSHORE, "worker", "--config", config, "--admin-port", str(free_port())],
            [*LONGSHORE, "gateway", "--config", config, "--port", str(port)],
        ]
        worker, gateway = (running.enter_context(run(argv, folder=folder)) for argv in shipped)
        await until_listening(gateway, port)
        with Redis.from_url(url) as redis:
            while not redis.zcard(Keys("longshore").workers()):
                worker.check()
        http = await running.enter_async_context(aiohttp.ClientSession())
        client = Client(http, f"http://127.0.0.1:{port}", "/mcp/files")
        await client.initialize()
        yield FilesStand(folder, gateway, worker, upstream, client)
