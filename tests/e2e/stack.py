"""Gateways and workers as shipped, on one Redis and one storage folder, in front of real upstreams."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.fixtures.processes import LONGSHORE, Process, free_port, private_redis, run, until_healthy


@dataclass
class Gateway:
    """One running gateway."""

    process: Process
    base: str

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    def mount(self, server: str) -> str:
        """The address of a server's MCP endpoint."""
        return f"{self.base}/mcp/{server}"


@dataclass
class Stack:
    """Shared parts of the processes of one deployment; `start_*` adds one more, all end with the block."""

    folder: Path
    config: Path
    root: Path
    redis_url: str
    _running: ExitStack = field(default_factory=ExitStack)

    def start_worker(self) -> Process:
        return self._start("worker", free_port())

    async def start_gateway(self) -> Gateway:
        """Start a gateway and wait until it says that everything behind it is well."""
        port = free_port()
        gateway = Gateway(self._start("gateway", port), f"http://127.0.0.1:{port}")
        await until_healthy(gateway.process, f"{gateway.base}/healthz", within_s=30)
        return gateway

    def _start(self, kind: str, port: int) -> Process:
        env = {"LONGSHORE_REDIS_URL": self.redis_url, "TEST_PORT": str(port), "TEST_ADMIN_PORT": str(free_port())}
        return self._running.enter_context(
            run([*LONGSHORE, kind, "--config", self.config], folder=self.folder, env=env)
        )

    def stop(self) -> None:
        self._running.close()


@contextmanager
def stack(
    folder: Path, servers: list[dict[str, Any]], *, core: dict[str, Any] | None = None, **sections: dict[str, Any]
) -> Iterator[Stack]:
    """A deployment of `servers` with nothing started yet but its Redis."""
    root = folder / "storage"
    root.mkdir(exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(configuration(root, servers, core, state="redis", **sections))
    with private_redis() as redis_url:
        made = Stack(folder, config, root, redis_url)
        try:
            yield made
        finally:
            made.stop()


@asynccontextmanager
async def one_of_each(
    folder: Path, servers: list[dict[str, Any]], *, core: dict[str, Any] | None = None
) -> AsyncIterator[tuple[Stack, Gateway]]:
    """The smallest deployment: one worker, one gateway, ready."""
    with stack(folder, servers, core=core) as made:
        made.start_worker()
        yield made, await made.start_gateway()


def configuration(
    root: Path, servers: list[dict[str, Any]], core: dict[str, Any] | None = None, *, state: str = "redis",
    **sections: dict[str, Any],
) -> str:
    """A configuration file of `servers` that takes its ports from the environment."""
    document: dict[str, Any] = {
        "core": {
            "host": "127.0.0.1",
            "port": "${TEST_PORT}",
            "admin_port": "${TEST_ADMIN_PORT}",
            "max_start_wait_seconds": 20,
            **(core or {}),
        },
        "state_persistence": {"type": state},
        "storage": {"root": str(root)},
        "uploads": {"ttl_seconds": 600},
        "servers": servers,
    }
    return yaml.safe_dump({**document, **sections})


def server(name: str, url: str, *adapters: dict[str, Any]) -> dict[str, Any]:
    """One entry of `servers`, mounted at the default path."""
    return {"id": name, "mount_path": f"/mcp/{name}", "upstream": {"url": url}, "adapters": list(adapters)}
