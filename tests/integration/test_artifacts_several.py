"""Several artifacts of one call, and their description in its result."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.gateway import Backing, Client, connected, entry, producer
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
_DOWNLOADS = {"allow_artifacts_download": True}
_STRUCTURED = {"mode": "structured", "output_path_key": "saved.path"}


def _image(content: bytes = _PNG) -> dict[str, Any]:
    return {"type": "image", "data": base64.b64encode(content).decode(), "mimeType": "image/png"}


def _answers(upstream: ScriptedUpstream, folder: Path, written: dict[str, bytes], **returned: Any) -> None:
    async def behave(seen: Seen) -> Reply:
        for name, content in written.items():
            await asyncio.to_thread((folder / name).write_bytes, content)
        return result(seen, {"content": [], **returned})

    folder.mkdir(parents=True, exist_ok=True)
    upstream.behaviours["tools/call"] = behave


async def _read(client: Client, returned: dict[str, Any]) -> list[bytes]:
    """Read the bytes of every artifact of a result, in its order."""
    found = []
    for artifact in returned["_meta"]["artifacts"]:
        (content,) = (await client.result("resources/read", {"uri": artifact["artifact_uri"]}))["contents"]
        found.append(content["text"].encode() if "text" in content else base64.b64decode(content["blob"]))
    return found


@pytest.mark.parametrize("locator", [_STRUCTURED, {"mode": "regex"}], ids=["structured", "regex"])
async def test_each_file_that_a_tool_names_is_an_artifact_with_its_links(
    shared_backing: Backing, upstream: ScriptedUpstream, locator: dict[str, Any]
) -> None:
    folder = shared_backing.root / "tool-output" / f"several {locator['mode']}"
    files = {"a.png": _PNG, "b.txt": b"plain"}
    saved = {"saved": [{"path": str(folder / name)} for name in files]}
    text = {"type": "text", "text": f"[a]({folder}/a.png) and \"{folder}/b.txt\", see /usr/share/none.txt"}
    _answers(upstream, folder, files, structuredContent=saved, content=[text])
    config = shared_backing.config(
        entry(upstream.url, producer("write", None, output_locator=locator)), core=_DOWNLOADS
    )
    async with connected(config) as client:
        returned = await client.call("write")
        read = await _read(client, returned)
        listed = (await client.result("resources/list"))["resources"]
        async with client.http.get(returned["_meta"]["artifacts"][1]["download_url"]) as answer:
            downloaded = await answer.read()

    artifacts = returned["_meta"]["artifacts"]
    assert read == list(files.values())
    assert downloaded == b"plain"
    assert returned["_meta"]["artifact"] == artifacts[0]
    assert [artifact["filename"] for artifact in artifacts] == list(files)
    assert returned["content"][0] == text
    assert [block["type"] for block in returned["content"][1:]] == ["resource_link", "text"] * 2
    texts = [block["text"] for block in returned["content"][2::2]]
    assert [artifact["download_url"] in text for artifact, text in zip(artifacts, texts, strict=True)] == [True, True]
    assert "artifact_refusals" not in returned["_meta"]
    assert {entry["uri"] for entry in listed} == {artifact["artifact_uri"] for artifact in artifacts}


async def test_a_missing_file_is_reported_beside_the_others(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    folder = shared_backing.root / "tool-output" / "partly"
    saved = {"saved": [{"path": str(folder / "there.txt")}, {"path": "/etc/passwd"}]}
    _answers(upstream, folder, {"there.txt": b"there"}, structuredContent=saved)
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=_STRUCTURED)))
    async with connected(config) as client:
        returned = await client.call("write")
        read = await _read(client, returned)

    (refusal,) = returned["_meta"]["artifact_refusals"]
    assert read == [b"there"]
    assert "isError" not in returned
    assert "outside the storage" in refusal
    assert returned["content"][-1] == {"type": "text", "text": f"Of this call's files 1 was kept; not kept: {refusal}"}


async def test_the_injected_path_comes_before_named_files_and_embedded_ones_are_not_captured(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    made = shared_backing.root / "tool-output" / "trace.zip"
    made.parent.mkdir(parents=True, exist_ok=True)

    async def behave(seen: Seen) -> Reply:
        path = Path(seen.params["arguments"]["path"])
        for target in (path, path.with_name("beside.txt"), made):
            await asyncio.to_thread(target.write_bytes, target.name.encode())
        return result(seen, {"content": [_image()], "structuredContent": {"saved": {"path": str(made)}}})

    upstream.behaviours["tools/call"] = behave
    config = shared_backing.config(entry(upstream.url, producer("write", output_locator=_STRUCTURED)))
    async with connected(config) as client:
        returned = await client.call("write", {"path": "asked.txt"})
        read = await _read(client, returned)

    assert read == [b"asked.txt", b"trace.zip", b"beside.txt"]
    assert returned["content"][0] == _image()


async def test_each_embedded_block_is_an_artifact_and_a_broken_one_is_reported(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def behave(seen: Seen) -> Reply:
        named = {"type": "resource", "resource": {"uri": "file:///x/page.txt", "text": "page"}}
        return result(seen, {"content": [_image(), {**_image(), "data": "not base64"}, named, _image(_PNG + b"2")]})

    upstream.behaviours["tools/call"] = behave
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator={"mode": "embedded"})))
    async with connected(config) as client:
        returned = await client.call("write")
        read = await _read(client, returned)

    assert read == [_PNG, b"page", _PNG + b"2"]
    names = [artifact["filename"] for artifact in returned["_meta"]["artifacts"]]
    assert names == ["write.png", "page.txt", "write-3.png"]
    assert len(returned["_meta"]["artifact_refusals"]) == 1
    assert "base64" in returned["_meta"]["artifact_refusals"][0]
    assert [block["type"] for block in returned["content"]] == ["image", "image", "resource", "image"] + [
        "resource_link"
    ] * 3 + ["text"]


async def test_embedded_blocks_that_spill_over_are_stored_once(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    images = [_image(_PNG + bytes([n])) for n in range(3)]
    large = {"type": "text", "text": "x" * 20_000}

    async def behave(seen: Seen) -> Reply:
        return result(seen, {"content": [*images, large]})

    upstream.behaviours["tools/call"] = behave
    adapter = producer("write", None, output_locator={"mode": "embedded"})
    async with connected(shared_backing.config(entry(upstream.url, adapter, spill_over_bytes=10_000))) as client:
        returned = await client.call("write")
        read = await _read(client, returned)
        listed = (await client.result("resources/list"))["resources"]

    assert read == [*(_PNG + bytes([n]) for n in range(3)), b"x" * 20_000]
    assert len(listed) == len(returned["_meta"]["artifacts"]) == 4
    assert returned["_meta"]["artifact"] == returned["_meta"]["artifacts"][0]


async def test_raw_output_of_several_files_is_limited_together(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    folder = shared_backing.root / "tool-output" / "raw"
    files = {"a.txt": b"a" * 12_000_000, "b.txt": b"b" * 12_000_000, "c.txt": b"c"}
    _answers(upstream, folder, files, structuredContent={"saved": [{"path": str(folder / name)} for name in files]})
    adapter = producer("write", None, output_locator=_STRUCTURED, allow_raw_output=True)
    async with connected(shared_backing.config(entry(upstream.url, adapter))) as client:
        returned = await client.call("write")

    texts = [block["text"] for block in returned["content"] if block["type"] == "text"]
    assert [(len(text), text[0]) for text in texts] == [(12_000_000, "a"), (1, "c")]
    assert len(returned["_meta"]["artifacts"]) == 3
