"""An existing tus client, and gateways that are killed under it."""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import yaml

from tests.fixtures.balancer import round_robin
from tests.fixtures.gateway import Backing, connected, consumer, entry
from tests.fixtures.node import TUS_CLIENT
from tests.fixtures.processes import LONGSHORE, Process, free_port, run, until, until_listening
from tests.fixtures.upstreams import ScriptedUpstream

_SIZE = 24 * 1024 * 1024
_CHUNK = 4 * 1024 * 1024


@contextmanager
def _gateway(backing: Backing, folder: Path, port: int) -> Iterator[Process]:
    """A gateway process with the configuration that the backing wrote last."""
    document = yaml.safe_load((backing.folder / "config.yaml").read_text())
    document["core"] |= {"port": port, "admin_port": 0}
    path = folder / f"gateway-{port}.yaml"
    path.write_text(yaml.safe_dump(document))
    with run([*LONGSHORE, "gateway", "--config", path], folder=folder) as process:
        yield process


def _said(client: Process) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in client.output().splitlines() if line.startswith("{")]


async def test_a_tus_client_goes_on_when_a_gateway_is_killed(
    fresh_backing: Backing, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Requests alternate between two gateways, one of which is killed on the way."""
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(_SIZE))
    config = fresh_backing.config(entry(upstream.url, consumer("read")), uploads={"max_file_bytes": "1Gi"})
    ports = [free_port(), free_port()]
    async with connected(config) as client, round_robin(ports) as balancer:
        link = (await client.upload_url()).replace(client.base, balancer.base)
        gateways = [_gateway(fresh_backing, tmp_path, port) for port in ports]
        with gateways[0] as doomed, gateways[1] as other:
            await asyncio.gather(until_listening(doomed, ports[0]), until_listening(other, ports[1]))
            with run([*TUS_CLIENT, link, path, str(_CHUNK)], folder=tmp_path) as sending:

                async def begun() -> bool | None:
                    return len(_said(sending)) >= 2 or None

                async def ended() -> str | None:
                    return next((str(what["url"]) for what in _said(sending) if "url" in what), None)

                await until(begun, within_s=30)
                doomed.kill()
                url = await until(ended, within_s=40)
            async with client.http.get(url) as answer:
                found = await answer.json()

    assert found["upload"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["upload"]["filename"] == "large.bin"
    assert min(balancer.served[port] for port in ports) > 0
