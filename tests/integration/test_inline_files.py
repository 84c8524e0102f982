"""Inline files (`data:` URIs), files passed from tool to tool, and the descriptions of file arguments."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from tests.fixtures.gateway import Backing, connected, consumer, entry, producer
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
_PNG_URI = "data:image/png;name=a%20shot.png;base64," + base64.b64encode(_PNG).decode()


def _reads(upstream: ScriptedUpstream) -> None:
    """Let the tool return the contents of each path in its arguments."""

    async def behave(seen: Seen) -> Reply:
        given = seen.params["arguments"]["path"]
        paths = [Path(text) for text in (given if isinstance(given, list) else [given])]
        read = [{"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in paths]
        return result(seen, {"content": [], "structuredContent": {"read": read}})

    upstream.behaviours["tools/call"] = behave


async def test_data_uris_reach_the_tool_as_files(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    _reads(upstream)
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        handle = await client.upload_one("b.txt", b"uploaded")
        returned = await client.call("read", {"path": [_PNG_URI, handle, "data:,Hello%2C%20World"]})

    assert returned["structuredContent"]["read"] == [
        {"name": "a shot.png", "sha256": hashlib.sha256(_PNG).hexdigest()},
        {"name": "b.txt", "sha256": hashlib.sha256(b"uploaded").hexdigest()},
        {"name": "file", "sha256": hashlib.sha256(b"Hello, World").hexdigest()},
    ]


async def test_a_large_data_uri_is_refused_with_advice(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    limit = {"data_uri_max_bytes": len(_PNG) - 1}
    config = shared_backing.config(entry(upstream.url, consumer("read")), uploads=limit)
    async with connected(config) as client:
        returned = await client.call("read", {"path": _PNG_URI})

    assert returned["isError"] is True
    assert "files_get_upload_url" in returned["content"][0]["text"]
    assert not upstream.calls("tools/call")


async def test_broken_data_uris_are_tool_errors(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        broken = [await client.call("read", {"path": uri}) for uri in ("data:;base64,%%%", "data:nothing", "DATA:")]

    assert [returned["isError"] for returned in broken] == [True, True, True]
    assert not upstream.calls("tools/call")


async def test_the_digest_of_a_data_uri_is_checked_and_required_if_configured(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _reads(upstream)
    digest = hashlib.sha256(_PNG).hexdigest()
    stated, other = (_PNG_URI.replace(";base64", f";sha256={text};base64") for text in (digest.upper(), "0" * 64))
    config = shared_backing.config(entry(upstream.url, consumer("read")), uploads={"require_sha256": True})
    async with connected(config) as client:
        good = await client.call("read", {"path": stated})
        refused = [await client.call("read", {"path": uri}) for uri in (_PNG_URI, other, "data:;sha256=abc,x")]
        refused.append(await client.call("read", {"path": [stated, other]}))
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        refused.append(await client.call("read", {"path": other}))

    assert good["structuredContent"]["read"] == [{"name": "a shot.png", "sha256": digest}]
    assert [returned["isError"] for returned in refused] == [True] * 5
    assert "needs its digest" in refused[0]["content"][0]["text"]
    assert len(upstream.calls("tools/call")) == 1
    assert not (shared_backing.root / "uploads" / "sessions" / client.session_id).exists()


async def test_no_file_is_stored_where_one_is_broken(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")))
    async with connected(config) as client:
        await client.call("read", {"path": [_PNG_URI, "data:;base64,%%%"]})

    assert not (shared_backing.root / "uploads" / "sessions" / client.session_id).exists()


async def test_an_artifact_of_one_tool_is_an_argument_of_the_next(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def behave(seen: Seen) -> Reply:
        path = Path(seen.params["arguments"]["path"])
        if seen.params["name"] == "write":
            path.write_bytes(_PNG)
            return result(seen, {"content": []})
        return result(seen, {"content": [{"type": "text", "text": hashlib.sha256(path.read_bytes()).hexdigest()}]})

    upstream.behaviours["tools/call"] = behave
    async with connected(shared_backing.config(entry(upstream.url, producer("write"), consumer("read")))) as client:
        made = (await client.call("write", {"path": "shot.png"}))["_meta"]["artifact"]["artifact_uri"]
        returned = await client.call("read", {"path": made})

    assert returned["content"][0]["text"] == hashlib.sha256(_PNG).hexdigest()


_TOOL: dict[str, Any] = {
    "name": "read",
    "description": "Reads a file and says at length what is in it.",
    "inputSchema": {
        "type": "object",
        "$defs": {"deep": {"type": "string"}},
        "properties": {
            "files": {"type": "array", "items": {"type": "object", "x-own": 1, "properties": {
                "path": {"type": "string", "description": "Where it is.", "x-kind": "file"},
            }}},
            "deep": {"$ref": "#/$defs/deep"},
        },
    },
    "x-vendor": {"kept": True},
}


async def test_the_tool_list_describes_file_arguments(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.tools = [_TOOL, {"name": "plain", "inputSchema": {"type": "object"}}]
    async with connected(shared_backing.config(entry(upstream.url, consumer("read", "files.path")))) as client:
        read, plain = (await client.result("tools/list"))["tools"][:2]

    argument = read["inputSchema"]["properties"]["files"]["items"]["properties"]["path"]
    assert argument["description"].startswith("Where it is.")
    assert "upload://" in argument["description"]
    assert "files_get_upload_url" in argument["description"]
    assert read["description"].startswith(_TOOL["description"])
    assert "files.path" in read["description"]
    argument["description"], read["description"] = "Where it is.", _TOOL["description"]
    assert read == _TOOL
    assert plain == upstream.tools[1]


async def test_descriptions_are_shortened_if_configured(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.tools = [{**_TOOL, "name": "other"}, {"name": "plain", "inputSchema": {"type": "object"}}]
    server = entry(upstream.url, short_description_max_tokens=4)
    async with connected(shared_backing.config(server, core={"shorten_descriptions": True})) as client:
        other, plain = (await client.result("tools/list"))["tools"]

    assert other == {**_TOOL, "name": "other", "description": "Reads a file and…"}
    assert plain == upstream.tools[1]
