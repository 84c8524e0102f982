"""The path of a call through the gateway: how many modules of gateway/mcp it visits, so that it stays readable."""

import sys
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import longshore.gateway
from tests.fixtures.gateway import Backing, connected, consumer, entry, producer
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import ScriptedUpstream

_GATEWAY = Path(longshore.gateway.__path__[0])


@contextmanager
def _visited() -> Iterator[list[str]]:
    """Collect the modules of the product that functions are called in, in the order of the first visit."""
    seen: dict[str, None] = {}

    def on_call(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            file = Path(frame.f_code.co_filename)
            if file.is_relative_to(_GATEWAY):
                seen.setdefault(f"gateway/{file.relative_to(_GATEWAY)}")

    visited: list[str] = []
    sys.setprofile(on_call)
    try:
        yield visited
    finally:
        sys.setprofile(None)
        visited += seen


async def _modules(act: Awaitable[object]) -> list[str]:
    with _visited() as visited:
        await act
    return [module for module in visited if module.startswith("gateway/mcp/")]


async def test_a_plain_call_visits_five_modules(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        await client.call("echo")

        modules = await _modules(client.call("echo"))

    assert len(modules) <= 5, modules


async def test_a_modern_call_over_a_legacy_server_visits_eight(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        modern = Modern(client)
        await modern.result("tools/call", {"name": "echo"})

        modules = await _modules(modern.result("tools/call", {"name": "echo"}))

    assert len(modules) <= 8, modules


async def test_a_call_with_a_file_has_one_object_for_its_files(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read"), producer("write")))
    async with connected(config) as client:
        handle = await client.upload_one("a.txt", b"x")
        await client.call("read", {"path": handle})

        modules = await _modules(client.call("read", {"path": handle}))

    assert "gateway/mcp/call_files/call_files.py" in modules
    assert len(modules) <= 10, modules
