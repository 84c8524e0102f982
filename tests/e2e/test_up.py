"""Everything on one machine, with one command, in front of a real upstream."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.e2e import wire
from tests.e2e.stack import configuration, server
from tests.fixtures.node import everything
from tests.fixtures.processes import LONGSHORE, Process, free_port, run, until_healthy

_ECHO_READS_A_FILE = {"type": "upload_consumer", "tools": ["echo"], "file_path_argument": "message"}


@dataclass
class Machine:
    """One data folder and one port, on which `longshore up` runs again and again."""

    folder: Path
    config: Path
    port: int

    @property
    def mount(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp/everything"

    @asynccontextmanager
    async def up(self) -> AsyncIterator[Process]:
        """Run it until the block is left; entered when everything is well."""
        with self._process() as process:
            await until_healthy(process, f"http://127.0.0.1:{self.port}/healthz", within_s=30)
            yield process

    @contextmanager
    def _process(self) -> Iterator[Process]:
        env = {"TEST_PORT": str(self.port), "TEST_ADMIN_PORT": str(free_port())}
        with run([*LONGSHORE, "up", "--config", self.config], folder=self.folder, env=env) as process:
            yield process


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with everything(tmp_path) as upstream:
        config = tmp_path / "config.yaml"
        servers = [server("everything", upstream.url, _ECHO_READS_A_FILE)]
        config.write_text(configuration(tmp_path / "data", servers, state="disk"))
        yield Machine(tmp_path, config, free_port())


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_sessions_and_files_outlive_a_restart(machine: Machine, end: str) -> None:
    """Told to stop or killed outright: started again, the session goes on and its upload is still there."""
    async with aiohttp.ClientSession() as http:
        async with machine.up() as process:
            session = await wire.open_session(http, machine.mount)
            handle = await _upload(http, session, machine.mount)
            before = await session.tool(machine.mount, "echo", 1, message=handle)
            await asyncio.to_thread(getattr(process, end))

        async with machine.up():
            after = await session.tool(machine.mount, "echo", 2, message=handle)
            ended = await session.end(machine.mount)

    path = Path(before["content"][0]["text"].removeprefix("Echo: "))
    assert path.is_relative_to(machine.folder / "data")
    assert after == before
    assert ended in (200, 204)


async def test_it_stops_in_five_seconds_and_leaves_nothing_behind(machine: Machine) -> None:
    """Also while a client has its stream open."""
    async with aiohttp.ClientSession() as http, machine.up() as process:
        session = await wire.open_session(http, machine.mount)
        async with http.get(machine.mount, headers={**session.headers, "Accept": "text/event-stream"}) as stream:
            status = stream.status
            running = _processes_about(machine.folder)
            process.terminate()
            ended = process.wait(within_s=20)
            left = _processes_about(machine.folder)

    assert status == 200
    assert ended == 0, process.output()
    assert len(running) >= 3, "Redis, gateway and worker were to be seen"
    assert left == []
    assert not list((machine.folder / "data").rglob("*.sock"))


def _processes_about(folder: Path) -> list[str]:
    """Command lines that name `folder`; on systems without /proc, none."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if str(folder) in line]


async def _upload(http: aiohttp.ClientSession, session: wire.Session, mount: str) -> str:
    ticket = (await session.tool(mount, "everything_get_upload_url", "ticket"))["structuredContent"]
    form = aiohttp.FormData()
    form.add_field("file", b"cargo", filename="cargo.bin")
    async with http.post(ticket["upload_url"], data=form, headers=ticket["headers"]) as answer:
        assert answer.status == 200, await answer.text()
        handle: str = (await answer.json())["upload_handle"]
    return handle
