"""Outputs that are not where the adapter of the tool expects them."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.gateway import Backing, connected, entry, producer
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
_IMAGE = {"type": "image", "data": base64.b64encode(_PNG).decode(), "mimeType": "image/png"}


def _answers(upstream: ScriptedUpstream, *blocks: dict[str, Any], write_as: str = "") -> None:
    async def behave(seen: Seen) -> Reply:
        if write_as:
            path = Path(seen.params["arguments"]["path"]).with_name(write_as)
            await asyncio.to_thread(path.write_bytes, b"GIF89a of the tool")
        return result(seen, {"content": list(blocks)})

    upstream.behaviours["tools/call"] = behave


@pytest.mark.parametrize("locator", [{"mode": "regex"}, {"mode": "structured", "output_path_key": "saved"}])
async def test_embedded_bytes_are_captured_where_no_path_names_a_file(
    shared_backing: Backing, upstream: ScriptedUpstream, locator: dict[str, Any]
) -> None:
    _answers(upstream, {"type": "text", "text": "saved as /nowhere/at/all.png"}, _IMAGE)
    adapter = producer("write", output_locator=locator)
    async with connected(shared_backing.config(entry(upstream.url, adapter))) as client:
        artifact = (await client.call("write", {"path": "asked.png"}))["_meta"]["artifact"]
        (content,) = (await client.result("resources/read", {"uri": artifact["artifact_uri"]}))["contents"]

    assert base64.b64decode(content["blob"]) == _PNG


async def test_a_file_at_the_injected_path_comes_before_embedded_bytes(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    broken = {**_IMAGE, "data": "not base64"}
    config = shared_backing.config(entry(upstream.url, producer("write", output_locator={"mode": "regex"})))
    async with connected(config) as client:
        for block in (_IMAGE, broken):
            _answers(upstream, block, write_as="asked.gif")
            artifact = (await client.call("write", {"path": "asked.gif"}))["_meta"]["artifact"]

            assert (artifact["filename"], artifact["size_bytes"]) == ("asked.gif", 18)


async def test_embedded_bytes_are_not_captured_in_mode_none(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _answers(upstream, _IMAGE)
    async with connected(shared_backing.config(entry(upstream.url, producer("write")))) as client:
        returned = await client.call("write", {"path": "asked.png"})

    assert returned == {"content": [_IMAGE]}


@pytest.mark.parametrize("locator", [{"mode": "none"}, {"mode": "regex"}])
@pytest.mark.parametrize(
    ("asked", "wrote"), [("shot", "shot.gif"), ("shot.png", "shot.gif"), ("shot.png", "page-1.gif")]
)
async def test_one_file_beside_the_injected_path_is_captured(
    shared_backing: Backing, upstream: ScriptedUpstream, locator: dict[str, Any], asked: str, wrote: str
) -> None:
    _answers(upstream, {"type": "text", "text": "done"}, write_as=wrote)
    config = shared_backing.config(entry(upstream.url, producer("write", output_locator=locator)))
    async with connected(config) as client:
        artifact = (await client.call("write", {"path": asked}))["_meta"]["artifact"]
        (content,) = (await client.result("resources/read", {"uri": artifact["artifact_uri"]}))["contents"]

    assert (artifact["filename"], artifact["mime_type"]) == (wrote, "image/gif")
    assert content["uri"] == artifact["artifact_uri"]


async def test_all_files_beside_the_injected_path_are_captured(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def behave(seen: Seen) -> Reply:
        path = Path(seen.params["arguments"]["path"])
        for name in ("two.gif", "one.gif"):
            await asyncio.to_thread(path.with_name(name).write_bytes, b"GIF89a")
        return result(seen, {"content": []})

    upstream.behaviours["tools/call"] = behave
    config = shared_backing.config(entry(upstream.url, producer("write", output_locator={"mode": "regex"})))
    async with connected(config) as client:
        returned = await client.call("write", {"path": "asked.png"})

    assert [artifact["filename"] for artifact in returned["_meta"]["artifacts"]] == ["one.gif", "two.gif"]


async def test_a_link_beside_the_injected_path_is_not_captured(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def behave(seen: Seen) -> Reply:
        path = Path(seen.params["arguments"]["path"])
        await asyncio.to_thread(path.with_name("other.txt").symlink_to, "/etc/passwd")
        return result(seen, {"content": []})

    upstream.behaviours["tools/call"] = behave
    async with connected(shared_backing.config(entry(upstream.url, producer("write")))) as client:
        returned = await client.call("write", {"path": "asked.txt"})

    assert returned == {"content": []}


async def test_broken_base64_is_an_error_where_embedded_bytes_are_expected(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _answers(upstream, {**_IMAGE, "data": "not base64"})
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator={"mode": "embedded"})))
    async with connected(config) as client:
        returned = await client.call("write")

    assert returned["isError"] is True
    assert "base64" in returned["content"][0]["text"]
