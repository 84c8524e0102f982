"""`longshore top` against a gateway and a worker as shipped."""

import asyncio
import subprocess
from pathlib import Path

import msgspec

from longshore.cli.figures import Figures
from tests.fixtures.observed import observed
from tests.fixtures.processes import LONGSHORE, free_port


async def _top(*arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [*map(str, LONGSHORE), "top", *arguments]
    return await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False, timeout=20)


async def test_the_figures_of_a_file_journey_are_shown_to_people_and_scripts(tmp_path: Path) -> None:
    async with observed(tmp_path) as seen:
        await seen.world.journey()
        await asyncio.gather(*(_until_two_files(port) for port in (seen.gateway_port, seen.worker_port)))
        urls = [f"--url=http://127.0.0.1:{port}" for port in (seen.gateway_port, seen.worker_port)]
        asked, read = await asyncio.gather(_top(*urls, "--once", "--json"), _top(*urls))

    figures = msgspec.json.decode(asked.stdout, type=Figures)
    assert (figures.answered, figures.silent, figures.redis_up, figures.workers) == (2, [], True, 1)
    assert (figures.sessions, figures.uploads, figures.artifacts) == (1, 1, 1)
    assert figures.stored_bytes == figures.uploaded_bytes + figures.downloaded_bytes == 19
    assert (figures.servers["files"].calls, figures.servers["files"].failed) == (2, 0)
    assert figures.jobs["done"] >= 2
    assert "2 processes answer" in read.stdout
    assert "1 in, 1 out" in read.stdout


async def _until_two_files(port: int) -> None:
    """Totals are read once a second."""
    async with asyncio.timeout(10):
        while True:
            done = await _top(f"--url=http://127.0.0.1:{port}", "--once", "--json")
            figures = msgspec.json.decode(done.stdout, type=Figures)
            if (figures.uploads, figures.artifacts) == (1, 1):
                return


async def test_a_port_where_nothing_answers_is_named(tmp_path: Path) -> None:
    async with observed(tmp_path) as seen:
        here, nowhere = f"http://127.0.0.1:{seen.gateway_port}", f"http://127.0.0.1:{free_port()}"
        some, none, told = await asyncio.gather(
            _top("--url", here, "--url", nowhere, "--once", "--json"), _top("--url", nowhere, "--once"),
            _top("--config", str(seen.config_file), "--once", "--json"),
        )

    assert msgspec.json.decode(some.stdout, type=Figures).silent == [nowhere]
    assert (none.returncode, none.stdout) == (1, "")
    assert nowhere in none.stderr
    assert msgspec.json.decode(told.stdout, type=Figures).answered == 1, told.stderr
