"""The services of docker-compose.yml on this host: real Redis, a stand-in for the browser, no engine."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures.processes import Process, free_port, private_redis, run, until_healthy, until_listening
from tests.integration import compose

_STAND_IN = Path(__file__).with_name("browser_stand_in.py")


@dataclass(frozen=True)
class Replica:
    """One running gateway or worker."""

    process: Process
    address: str    # host:port, of a gateway
    admin: str      # host:port


@dataclass
class ComposeStack:
    """Shared parts of the services. Only hosts, ports and folders differ from what the file says."""

    folder: Path
    shared: dict[str, str]
    _running: ExitStack = field(default_factory=ExitStack)

    async def start(self, name: str, *, host: str = "127.0.0.1", port: int | None = None) -> Replica:
        """One more replica of `name`, once its admin port answers."""
        port, admin_port = port or free_port(host), free_port(host)
        own = {
            "LONGSHORE_GATEWAY_HOST": host,
            "LONGSHORE_GATEWAY_PORT": str(port),
            "LONGSHORE_ADMIN_HOST": host,
            "LONGSHORE_ADMIN_PORT": str(admin_port),
        }
        process = self._running.enter_context(compose.service(name, {**self.shared, **own}).run(self.folder))
        replica = Replica(process, f"{host}:{port}", f"{host}:{admin_port}")
        await until_healthy(process, f"http://{replica.admin}/metrics", within_s=30)
        return replica

    async def until_ready(self, gateway: Replica) -> None:
        """Wait until a gateway says that all behind it is well."""
        await until_healthy(gateway.process, f"http://{gateway.address}/healthz", within_s=30)

    async def gateway(self, *, host: str = "127.0.0.1", port: int | None = None) -> Replica:
        """One more gateway, ready."""
        replica = await self.start("gateway", host=host, port=port)
        await self.until_ready(replica)
        return replica

    def close(self) -> None:
        self._running.close()


@asynccontextmanager
async def compose_stack(folder: Path) -> AsyncIterator[ComposeStack]:
    """Redis and the upstream are up; tests start gateways and workers."""
    storage = folder / "shared"
    storage.mkdir()
    with private_redis() as redis_url, _stand_in(folder) as (process, port):
        await until_listening(process, port)
        shared = {
            "LONGSHORE_REDIS_URL": redis_url,
            "LONGSHORE_STORAGE": str(storage),
            "LONGSHORE_PLAYWRIGHT_URL": f"http://127.0.0.1:{port}/mcp",
        }
        made = ComposeStack(folder, shared)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def _stand_in(folder: Path) -> Iterator[tuple[Process, int]]:
    port = free_port()
    with run([sys.executable, _STAND_IN, str(port)], folder=folder) as process:
        yield process, port
