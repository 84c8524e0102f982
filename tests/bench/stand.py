"""The processes that a bench of the proxy path compares: the upstream, nginx before it, gateways before it."""

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bench import cpu
from tests.fixtures.processes import LONGSHORE, Process, free_port, private_redis, run, until_listening

_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_max_temp_file_size 0;
  keepalive_requests 10000000;
  upstream echo {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://echo; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


@dataclass(frozen=True)
class Way:
    """One way to the upstream: the ports that take its requests, and the processes that stand between."""

    name: str
    target: str                        # path of the MCP endpoint
    ports: tuple[int, ...]
    between: tuple[Process, ...] = ()

    def used_s(self) -> float:
        """Seconds of CPU that the processes in between have used so far."""
        return cpu.used_s(process.pid for process in self.between)


@dataclass(frozen=True)
class Stand:
    """Everything running. `ways` are in the order of the table."""

    upstream: Process
    ways: tuple[Way, ...]
    notes: tuple[str, ...]


@asynccontextmanager
async def stand(*, gateways: int = 2) -> AsyncIterator[Stand]:
    """The upstream, nginx where it is installed, and `gateways` gateways on one private Redis."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as running:
        folder, upstream_port = Path(name), free_port()
        argv = [sys.executable, "-m", "tests.bench.echo_upstream", str(upstream_port)]
        upstream = running.enter_context(run(argv, folder=folder))
        await until_listening(upstream, upstream_port)
        ways, notes = [Way("direct", "/mcp", (upstream_port,))], []
        if shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"):
            port = free_port()
            proxy = running.enter_context(_nginx(folder, port, upstream_port))
            await until_listening(proxy, port)
            ways.append(Way("nginx", "/mcp", (port,), (proxy,)))
        else:
            notes.append("nginx is not installed: nothing to compare with but the direct path")
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(document(folder, upstream_port, running.enter_context(private_redis()))))
        ports = [free_port() for _ in range(gateways)]
        started = [running.enter_context(gateway_process(folder, config, port)) for port in ports]
        for process, port in zip(started, ports, strict=True):
            await until_listening(process, port)
        ways.append(Way("longshore", "/mcp/echo", (ports[0],), (started[0],)))
        if gateways > 1:
            ways.append(Way(f"longshore, {gateways} processes", "/mcp/echo", tuple(ports), tuple(started)))
        yield Stand(upstream, tuple(ways), tuple(notes))


@contextmanager
def _nginx(folder: Path, port: int, upstream_port: int) -> Iterator[Process]:
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream_port))
    with run(["/usr/bin/env", "nginx", "-c", config], folder=folder, env={"PATH": "/usr/sbin:/usr/bin"}) as process:
        yield process


def document(folder: Path, upstream_port: int, redis_url: str) -> dict[str, Any]:
    """The configuration of a gateway as shipped before that upstream."""
    return {
        "core": {"host": "127.0.0.1", "admin_port": 0},
        "state_persistence": {"type": "redis", "redis": {"url": redis_url}},
        "storage": {"root": str(folder / "storage")},
        "servers": [
            {"id": "echo", "mount_path": "/mcp/echo", "upstream": {"url": f"http://127.0.0.1:{upstream_port}/mcp"}}
        ],
    }


@contextmanager
def gateway_process(folder: Path, config: Path, port: int) -> Iterator[Process]:
    """One gateway of this configuration."""
    with run([*LONGSHORE, "gateway", "--config", config, "--port", str(port)], folder=folder) as process:
        yield process
