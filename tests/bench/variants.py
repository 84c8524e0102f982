"""Gateways that differ in one thing, each on a Redis and an upstream of its own, to be compared with one another."""

import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.bench.stand import Stand, Way, document, gateway_process
from tests.fixtures.processes import Process, free_port, private_redis, run, until_listening


@dataclass(frozen=True)
class Variant:
    """One gateway: sections of its configuration beside what every bench has, and its upstream's arguments."""

    name: str
    sections: dict[str, Any] = field(default_factory=dict)
    upstream: tuple[str, ...] = ()


@asynccontextmanager
async def variants(chosen: Sequence[Variant]) -> AsyncIterator[Stand]:
    """All of them running. The first one's upstream is the stand's."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as running:
        upstreams: list[Process] = []
        ways: list[Way] = []
        for number, variant in enumerate(chosen):
            folder, upstream_port, port = Path(name, str(number)), free_port(), free_port()
            folder.mkdir()
            argv = [sys.executable, "-m", "tests.bench.echo_upstream", str(upstream_port), *variant.upstream]
            upstreams.append(running.enter_context(run(argv, folder=folder)))
            await until_listening(upstreams[-1], upstream_port)
            sections = document(folder, upstream_port, running.enter_context(private_redis())) | variant.sections
            config = folder / "config.yaml"
            config.write_text(yaml.safe_dump(sections))
            gateway = running.enter_context(gateway_process(folder, config, port))
            await until_listening(gateway, port)
            ways.append(Way(variant.name, "/mcp/echo", (port,), (gateway,)))
        yield Stand(upstreams[0], tuple(ways), ())
