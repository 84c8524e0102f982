"""Artifacts: files captured from tools, read as resources and downloaded over HTTP."""

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fixtures.gateway import Backing, Client, connected, consumer, entry, producer
from tests.fixtures.upstreams import Behaviour, Reply, ScriptedUpstream, Seen, result, scripted, writes

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4000
_DOWNLOADS = {"allow_artifacts_download": True}


def _returns(text: str = "done", **fields: Any) -> Behaviour:
    async def behave(seen: Seen) -> Reply:
        return result(seen, {"content": [{"type": "text", "text": text}], **fields})

    return behave


def _then(prepare: Callable[[], object], behave: Behaviour) -> Behaviour:
    async def both(seen: Seen) -> Reply:
        await asyncio.to_thread(prepare)
        return await behave(seen)

    return both


@pytest.mark.requirement("resources.binary")
async def test_an_injected_path_becomes_an_artifact(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = writes(_PNG)
    config = shared_backing.config(entry(upstream.url, producer("write")), core=_DOWNLOADS)
    async with connected(config) as client:
        returned = await client.call("write", {"path": "/home/me/shot one.png", "width": 3})
        artifact = returned["_meta"]["artifact"]
        read = await client.result("resources/read", {"uri": artifact["artifact_uri"]})
        listed = (await client.result("resources/list"))["resources"]
        async with client.http.get(artifact["download_url"]) as answer:
            downloaded = await answer.read()
            headers = answer.headers

    artifact_id = artifact["artifact_id"]
    assert artifact == {
        "artifact_uri": f"artifact://sessions/{client.session_id}/{artifact_id}/shot%20one.png",
        "artifact_id": artifact_id, "filename": "shot one.png", "mime_type": "image/png", "size_bytes": len(_PNG),
        "expose_as_resource": True, "download_url": artifact["download_url"],
    }
    blocks = {block["type"]: block for block in returned["content"]}
    assert returned["content"][0] == {"type": "text", "text": "written"}
    assert blocks["resource_link"]["uri"] == artifact["artifact_uri"]
    assert artifact["download_url"] in returned["content"][-1]["text"]
    assert base64.b64decode(read["contents"][0]["blob"]) == _PNG
    assert [entry["uri"] for entry in listed] == [artifact["artifact_uri"]]
    assert downloaded == _PNG
    assert headers["ETag"] == f'"{hashlib.sha256(_PNG).hexdigest()}"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert upstream.last("tools/call").params["arguments"]["width"] == 3


async def test_an_artifact_gets_a_name_where_the_client_gives_none(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    async with connected(shared_backing.config(entry(upstream.url, producer("write")))) as client:
        artifact = (await client.call("write"))["_meta"]["artifact"]

    assert (artifact["filename"], artifact["mime_type"]) == ("write.pdf", "application/pdf")
    assert "download_url" not in artifact


async def test_text_is_read_back_as_text(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    text = "Zeile „eins“ \\ \n\u0001 🛳" * 100_000
    upstream.behaviours["tools/call"] = writes(text.encode())
    async with connected(shared_backing.config(entry(upstream.url, producer("write")))) as client:
        artifact = (await client.call("write", {"path": "log.txt"}))["_meta"]["artifact"]
        (content,) = (await client.result("resources/read", {"uri": artifact["artifact_uri"]}))["contents"]

    assert content == {"uri": artifact["artifact_uri"], "mimeType": "text/plain", "text": text}


@pytest.mark.parametrize("mode", ["regex", "structured", "own regex"])
async def test_a_located_file_is_copied_and_stays(
    shared_backing: Backing, upstream: ScriptedUpstream, mode: str
) -> None:
    made = shared_backing.root / "tool-output" / f"{mode} 1.png"
    made.parent.mkdir(parents=True, exist_ok=True)
    locators: dict[str, dict[str, Any]] = {
        "regex": {"mode": "regex"},
        "structured": {"mode": "structured", "output_path_key": "saved.files.0"},
        "own regex": {"mode": "regex", "output_path_regexes": [r"saved as <(.+?)>"]},
    }
    locator = locators[mode]
    upstream.behaviours["tools/call"] = _then(
        lambda: made.write_bytes(_PNG),
        _returns(f"saved as <{made}>, [open]({made}) \"{made}\"", structuredContent={"saved": {"files": [str(made)]}}),
    )
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=locator)))
    async with connected(config) as client:
        returned = await client.call("write")

    assert returned["_meta"]["artifact"]["filename"] == made.name
    assert returned["_meta"]["artifact"]["size_bytes"] == len(_PNG)
    assert made.read_bytes() == _PNG


async def test_a_path_anywhere_in_structured_content_is_found_after_the_locators(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    made = shared_backing.root / "tool-output" / "elsewhere.png"
    made.parent.mkdir(parents=True, exist_ok=True)
    where = {"a": [1, {"url": "https://example.org/x.png"}], "b": {"deep": [made.as_uri()]}}
    upstream.behaviours["tools/call"] = _then(lambda: made.write_bytes(_PNG), _returns(structuredContent=where))
    locator = {"mode": "structured", "output_path_key": "missing"}
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=locator)))
    async with connected(config) as client:
        returned = await client.call("write")

    assert returned["_meta"]["artifact"]["filename"] == made.name


async def test_a_path_of_our_layout_is_found_where_the_upstream_mounts_it_elsewhere(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def behave(seen: Seen) -> Reply:
        path = Path(seen.params["arguments"]["path"]).with_name("renamed.png")
        await asyncio.to_thread(path.write_bytes, _PNG)
        theirs = Path("/mnt/elsewhere") / path.relative_to(shared_backing.root)
        return result(seen, {"content": [], "structuredContent": {"saved": str(theirs)}})

    upstream.behaviours["tools/call"] = behave
    locator = {"mode": "structured", "output_path_key": "saved"}
    config = shared_backing.config(entry(upstream.url, producer("write", output_locator=locator)))
    async with connected(config) as client:
        returned = await client.call("write", {"path": "asked.png"})

    assert (returned["_meta"]["artifact"]["filename"], returned["_meta"]["artifact"]["size_bytes"]) == (
        "renamed.png", len(_PNG)
    )


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "data": base64.b64encode(_PNG).decode(), "mimeType": "image/png"},
        {"type": "resource", "resource": {"uri": "file:///x/page.png", "blob": base64.b64encode(_PNG).decode()}},
    ],
)
async def test_embedded_bytes_become_an_artifact(
    shared_backing: Backing, upstream: ScriptedUpstream, block: dict[str, Any]
) -> None:
    async def embeds(seen: Seen) -> Reply:
        return result(seen, {"content": [{"type": "text", "text": "here"}, block]})

    upstream.behaviours["tools/call"] = embeds
    adapter = producer("write", None, output_locator={"mode": "embedded"})
    async with connected(shared_backing.config(entry(upstream.url, adapter))) as client:
        returned = await client.call("write")
        artifact = returned["_meta"]["artifact"]
        read = await client.result("resources/read", {"uri": artifact["artifact_uri"]})

    assert returned["content"][:2] == [{"type": "text", "text": "here"}, block]
    assert (artifact["mime_type"], artifact["filename"][-4:]) == ("image/png", ".png")
    assert base64.b64decode(read["contents"][0]["blob"]) == _PNG


async def test_raw_output_adds_the_bytes_by_type(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url, producer("write", allow_raw_output=True)))
    async with connected(config) as client:
        upstream.behaviours["tools/call"] = writes(_PNG)
        image = (await client.call("write", {"path": "a.png"}))["content"][-1]
        upstream.behaviours["tools/call"] = writes(b"plain text\n")
        text = (await client.call("write", {"path": "a.txt"}))["content"][-1]
        upstream.behaviours["tools/call"] = writes(b"PK\x03\x04\x00\xff\xfe")
        blob = (await client.call("write", {"path": "a.zip"}))["content"][-1]

    assert image == {"type": "image", "data": base64.b64encode(_PNG).decode(), "mimeType": "image/png"}
    assert text == {"type": "text", "text": "plain text\n"}
    assert base64.b64decode(blob["resource"]["blob"]) == b"PK\x03\x04\x00\xff\xfe"


def _hostile(backing: Backing, kind: str) -> Path:
    """Make a file inside or outside the storage root that no tool of this session may pass on. Safe to repeat."""
    root, outside = backing.root, backing.folder / "outside.txt"
    outside.write_text("secret")
    folder = {
        "state": root / "state",
        "staging": root / "staging",
        "another scope": root / "artifacts" / "sessions" / ("S" * 32) / ("F" * 22),
        "another upload": root / "uploads" / "sessions" / ("S" * 32) / ("F" * 22),
    }.get(kind, root / "tool-output")
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "stolen.txt"
    if kind == "folder":
        place.mkdir(exist_ok=True)
        return place
    place.unlink(missing_ok=True)
    make: dict[str, Callable[[], Path | None]] = {
        "outside": lambda: outside,
        "dots": lambda: Path(f"{folder}/../../outside.txt"),
        "symbolic link": lambda: place.symlink_to(outside),
        "linked folder": lambda: _linked(root / "linked", backing.folder) / "outside.txt",
        "fifo": lambda: os.mkfifo(place),
        "missing": lambda: None,
    }
    if kind not in make:
        place.write_text("secret")
        return place
    return make[kind]() or place


def _linked(link: Path, target: Path) -> Path:
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    return link


@pytest.mark.parametrize(
    "kind",
    [
        "outside", "state", "staging", "another scope", "another upload", "symbolic link", "linked folder", "folder",
        "fifo", "dots", "missing",
    ],
)
async def test_a_tool_cannot_pass_on_files_of_others(fresh_backing: Backing, kind: str) -> None:
    async with scripted("write") as upstream:
        place = await asyncio.to_thread(_hostile, fresh_backing, kind)
        # Made during the call, so that its age is no reason to refuse it.
        upstream.behaviours["tools/call"] = _then(
            lambda: _hostile(fresh_backing, kind),
            _returns("saved", structuredContent={"path": str(place)}),
        )
        locator = {"mode": "structured", "output_path_key": "path"}
        config = fresh_backing.config(entry(upstream.url, producer("write", None, output_locator=locator)))
        async with connected(config) as client:
            async with asyncio.timeout(10):
                returned = await client.call("write")
            listed = (await client.result("resources/list"))["resources"]

    assert returned["isError"] is True, returned
    assert "captured" in returned["content"][0]["text"]
    assert str(fresh_backing.folder) not in returned["content"][0]["text"]
    assert listed == []
    assert not [name for name in fresh_backing.stored() if client.session_id in name]


async def test_a_file_older_than_the_call_is_not_its_output(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    old = fresh_backing.root / "old.txt"
    old.parent.mkdir(exist_ok=True)
    old.write_text("from before")
    await asyncio.sleep(0.05)     # file systems tell times in steps of some milliseconds
    upstream.behaviours["tools/call"] = _returns(f"saved to {old}")
    adapter = producer("write", None, output_locator={"mode": "regex"})
    async with connected(fresh_backing.config(entry(upstream.url, adapter))) as client:
        returned = await client.call("write")

    assert returned["isError"] is True
    assert old.exists()


async def test_an_injected_path_that_was_swapped_for_a_link_is_refused(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def swaps(seen: Seen) -> Reply:
        path = Path(seen.params["arguments"]["path"])
        await asyncio.to_thread(path.symlink_to, "/etc/passwd")
        return result(seen, {"content": []})

    upstream.behaviours["tools/call"] = swaps
    adapter = producer("write", output_locator={"mode": "regex"})
    async with connected(fresh_backing.config(entry(upstream.url, adapter))) as client:
        returned = await client.call("write")
        async with asyncio.timeout(20):
            while fresh_backing.stored():
                await asyncio.sleep(0.02)

    assert returned["isError"] is True
    assert "root:" not in str(returned)


async def test_a_file_swapped_for_a_link_later_is_not_served(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(b"mine")
    config = shared_backing.config(entry(upstream.url, producer("write")), core=_DOWNLOADS)
    async with connected(config) as client:
        artifact = (await client.call("write", {"path": "a.txt"}))["_meta"]["artifact"]
        path = Path(upstream.last("tools/call").params["arguments"]["path"])
        await asyncio.to_thread(_swap, path)

        async with client.http.get(artifact["download_url"]) as answer:
            assert answer.status in (403, 404)
            assert b"root:" not in await answer.read()
        read = await client.request("resources/read", {"uri": artifact["artifact_uri"]})
        assert "error" in read.message


def _swap(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


async def test_mode_none_without_a_file_does_not_change_the_result(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = _returns("nothing written", vendor={"a": 1})
    async with connected(fresh_backing.config(entry(upstream.url, producer("write")))) as client:
        returned = await client.call("write", {"path": "a.txt"})
        async with asyncio.timeout(20):
            while (fresh_backing.root / "artifacts" / "sessions" / client.session_id).exists():
                await asyncio.sleep(0.02)

    assert returned == {"content": [{"type": "text", "text": "nothing written"}], "vendor": {"a": 1}}


async def test_a_tool_that_fails_keeps_its_own_error(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = _returns("the disk is on fire", isError=True)
    adapter = producer("write", output_locator={"mode": "regex"})
    async with connected(shared_backing.config(entry(upstream.url, adapter))) as client:
        returned = await client.call("write", {"path": "a.txt"})

    assert returned == {"content": [{"type": "text", "text": "the disk is on fire"}], "isError": True}


async def test_persist_false_injects_the_path_and_stores_nothing(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(b"kept by nobody")
    async with connected(shared_backing.config(entry(upstream.url, producer("write", persist=False)))) as client:
        returned = await client.call("write", {"path": "a.txt"})
        listed = (await client.result("resources/list"))["resources"] if "_meta" in returned else []

    path = Path(upstream.last("tools/call").params["arguments"]["path"])
    assert "_meta" not in returned
    assert listed == []
    assert path.is_relative_to(shared_backing.root)


async def test_a_tool_may_have_file_arguments_and_outputs(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def copies(seen: Seen) -> Reply:
        arguments = seen.params["arguments"]
        await asyncio.to_thread(_copy, arguments["from"], arguments["path"])
        return result(seen, {"content": []})

    upstream.behaviours["tools/call"] = copies
    config = shared_backing.config(entry(upstream.url, consumer("write", "from"), producer("write")))
    async with connected(config) as client:
        handle = await client.upload_one("in.bin", b"\x00\x01\x02")
        first = (await client.call("write", {"from": handle, "path": "out.bin"}))["_meta"]["artifact"]
        again = (await client.call("write", {"from": first["artifact_uri"], "path": "copy.bin"}))["_meta"]["artifact"]
        read = await client.result("resources/read", {"uri": again["artifact_uri"]})

    assert base64.b64decode(read["contents"][0]["blob"]) == b"\x00\x01\x02"


def _copy(source: str, target: str) -> None:
    Path(target).write_bytes(Path(source).read_bytes())


async def test_revisions_without_resource_links_get_none(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = writes(b"x")
    async with connected(
        shared_backing.config(entry(upstream.url, producer("write")), core=_DOWNLOADS), initialize=False
    ) as client:
        old = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
        answer = await client.request("initialize", old)
        client.session_id = answer.headers["Mcp-Session-Id"]
        returned = await client.call("write", {"path": "a.txt"})

    assert [block["type"] for block in returned["content"]] == ["text", "text"]


async def test_downloads_support_ranges_conditions_and_head(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(b"0123456789")
    config = shared_backing.config(entry(upstream.url, producer("write")), core=_DOWNLOADS)
    async with connected(config) as client:
        url = (await client.call("write", {"path": "digits.html"}))["_meta"]["artifact"]["download_url"]
        etag = f'"{hashlib.sha256(b"0123456789").hexdigest()}"'

        assert await _get(client, url, {"Range": "bytes=2-4"}) == (206, b"234", "bytes 2-4/10")
        assert await _get(client, url, {"Range": "bytes=-3"}) == (206, b"789", "bytes 7-9/10")
        assert await _get(client, url, {"Range": "bytes=10-"}) == (416, b"", "bytes */10")
        assert await _get(client, url, {"Range": "bytes=0-1,4-5"}) == (200, b"0123456789", None)
        assert await _get(client, url, {"Range": "bytes=0-1", "If-Range": '"other"'}) == (200, b"0123456789", None)
        assert await _get(client, url, {"If-None-Match": etag}) == (304, b"", None)
        async with client.http.head(url) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, "10")
            assert answer.headers["Content-Disposition"].startswith("attachment")
            assert "sandbox" in answer.headers["Content-Security-Policy"]


async def _get(client: Client, url: str, headers: dict[str, str]) -> tuple[int, bytes, str | None]:
    async with client.http.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers.get("Content-Range")


async def test_downloads_of_others_are_refused(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = writes(b"mine")
    config = shared_backing.config(entry(upstream.url, producer("write")), core=_DOWNLOADS)
    async with connected(config) as client:
        url = (await client.call("write", {"path": "a.txt"}))["_meta"]["artifact"]["download_url"]
        plain = url.split("?")[0]
        session = {"Mcp-Session-Id": client.session_id}

        assert (await _get(client, plain, session))[0] == 200
        assert (await _get(client, plain, {}))[0] == 400
        assert (await _get(client, plain, {"Mcp-Session-Id": "Q" * 32}))[0] == 403
        assert (await _get(client, url, {"Mcp-Session-Id": "Q" * 32}))[0] == 403
        assert (await _get(client, url[:-2] + "zz", {}))[0] == 403
        assert (await _get(client, plain.replace("a.txt", "b.txt"), session))[0] == 404
        assert (await _get(client, url.replace("a.txt", "b.txt"), {}))[0] == 404
        await client.delete()
        assert (await _get(client, url, {}))[0] == 404


@pytest.mark.requirement("tools.access")
async def test_artifacts_of_another_session_cannot_be_read(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(b"mine")
    async with connected(shared_backing.config(entry(upstream.url, producer("write")))) as client:
        uri = (await client.call("write", {"path": "a.txt"}))["_meta"]["artifact"]["artifact_uri"]
        await client.initialize()

        foreign = await client.request("resources/read", {"uri": uri})
        assert (foreign.message["error"]["code"], foreign.reason) == (-32002, "not_found")
        malformed = await client.request("resources/read", {"uri": "artifact://sessions/../../x"})
        assert malformed.message["error"]["code"] == -32602
        assert (await client.result("resources/list"))["resources"] == []


@pytest.mark.requirement("tools.capability", "resources.capability")
async def test_artifacts_follow_the_resources_of_the_upstream_on_its_last_page(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def pages(seen: Seen) -> Reply:
        if seen.params.get("cursor") == "2":
            return result(seen, {"resources": [{"uri": "x://2", "name": "two", "odd": [1.0]}]})
        return result(seen, {"resources": [{"uri": "x://1", "name": "one"}], "nextCursor": "2"})

    upstream.capabilities = {"tools": {}, "resources": {"subscribe": True}}
    upstream.behaviours |= {"resources/list": pages, "tools/call": writes(b"x")}
    config = shared_backing.config(entry(upstream.url, consumer("read"), producer("write")))
    async with connected(config, initialize=False) as client:
        shown = await client.initialize()
        uri = (await client.call("write", {"path": "a.txt"}))["_meta"]["artifact"]["artifact_uri"]
        first = await client.result("resources/list")
        second = await client.result("resources/list", {"cursor": "2"})

    assert shown["capabilities"] == {"tools": {}, "resources": {"subscribe": True, "listChanged": True}}
    assert first == {"resources": [{"uri": "x://1", "name": "one"}], "nextCursor": "2"}
    assert second["resources"][0] == {"uri": "x://2", "name": "two", "odd": [1.0]}
    assert [entry["uri"] for entry in second["resources"][1:]] == ["doc://upload_workflow.md", uri]


async def test_long_lists_of_artifacts_come_in_pages(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = writes(b"x")
    async with connected(shared_backing.config(entry(upstream.url, producer("write")))) as client:
        await asyncio.gather(*(client.call("write", {"path": f"{n}.txt"}) for n in range(205)))
        first = await client.result("resources/list")
        second = await client.result("resources/list", {"cursor": first["nextCursor"]})

    names = {entry["name"] for entry in first["resources"] + second["resources"]}
    assert names == {f"{n}.txt" for n in range(205)}
    assert "nextCursor" not in second


async def test_the_workflow_document_can_be_read(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read"))), initialize=False) as client:
        shown = await client.initialize()
        listed = (await client.result("resources/list"))["resources"]
        (document,) = (await client.result("resources/read", {"uri": "doc://upload_workflow.md"}))["contents"]

    assert shown["capabilities"] == {"tools": {}, "resources": {}}
    assert [entry["uri"] for entry in listed] == ["doc://upload_workflow.md"]
    assert "files_get_upload_url" in document["text"]
    assert "`read`: argument `path`" in document["text"]


async def test_the_lists_of_a_server_without_adapters_are_not_changed(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        shown = await client.initialize()
        tools = await client.request("tools/list")

    assert shown["capabilities"] == {"tools": {}}
    assert tools.message["result"] == {"tools": upstream.tools}
    assert msgspec.json.decode(tools.body)["id"] == 2


@pytest.mark.parametrize("has_own", [True, False])
async def test_the_template_of_artifacts_follows_those_of_the_upstream(
    shared_backing: Backing, upstream: ScriptedUpstream, has_own: bool
) -> None:
    async def templates(seen: Seen) -> Reply:
        return result(seen, {"resourceTemplates": [{"uriTemplate": "db://{row}", "name": "row"}]})

    upstream.capabilities = {"tools": {}, **({"resources": {}} if has_own else {})}
    upstream.behaviours["resources/templates/list"] = templates
    async with connected(shared_backing.config(entry(upstream.url, producer("write")))) as client:
        listed = (await client.result("resources/templates/list"))["resourceTemplates"]

    assert [found["name"] for found in listed] == (["row", "artifact"] if has_own else ["artifact"])
    assert listed[-1]["uriTemplate"] == "artifact://sessions/{session_id}/{artifact_id}/{filename}"
