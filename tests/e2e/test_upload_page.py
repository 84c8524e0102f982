"""People who open an upload link in Chromium."""

import hashlib
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fixtures.gateway import backing, connected, consumer, entry
from tests.fixtures.node import UPLOAD_PAGE, chromium
from tests.fixtures.processes import run, until
from tests.fixtures.upstreams import scripted


async def _opened(link: str, path: Path, how: str, folder: Path) -> dict[str, Any]:
    """What a person finds at the end."""
    argv: list[str | Path] = [*UPLOAD_PAGE, chromium(), link, path, how, folder / f"{how}.png"]
    with run(argv, folder=folder) as browser:

        async def ended() -> dict[str, Any] | None:
            last = browser.output().strip().rpartition("\n")[2]
            return msgspec.json.decode(last) if last.startswith("{") and last.endswith("}") else None

        return await until(ended, browser, within_s=45)


@pytest.mark.parametrize(("how", "size"), [("script", 200_000), ("plain", 200_000), ("cut", 6_000_000)])
async def test_a_person_sends_a_file(tmp_path: Path, how: str, size: int) -> None:
    """By the script, by the plain form, and with the connection cut on the way."""
    path = tmp_path / "phöto & <b>.bin"
    path.write_bytes(os.urandom(size))
    with backing(tmp_path) as made:
        async with scripted("read") as upstream, AsyncExitStack() as stack:
            config = made.config(entry(upstream.url, consumer("read")))
            client = await stack.enter_async_context(connected(config))
            ticket = (await client.call("files_get_upload_url"))["structuredContent"]

            found = await _opened(ticket["page_url"], path, how, tmp_path)

            asked = {"link_id": ticket["link_id"], "wait_seconds": 0}
            answer = (await client.call("files_await_upload", asked))["structuredContent"]

    assert found == {"handle": answer["upload_handle"], "copied": None if how == "plain" else 1, "complaints": []}
    assert answer["upload"]["filename"] == path.name
    assert answer["upload"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
