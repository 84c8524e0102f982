"""Resources that a tool result links to: read from the server and captured, in both eras of server and client."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from tests.fixtures.gateway import Backing, connected, entry, producer
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, stream, tool

_VERSION = "2026-07-28"
_PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(range(256)) * 100
_BLOB = base64.b64encode(_PDF).decode()
_LINK = {"type": "resource_link", "uri": "memo://made/report", "name": "report.pdf", "mimeType": "application/pdf"}
_EMBEDDED = {"mode": "embedded"}


def _links(upstream: ScriptedUpstream, *blocks: dict[str, Any]) -> None:
    async def behave(seen: Seen) -> Reply:
        return result(seen, {"resultType": "complete", "content": list(blocks)})

    async def read(seen: Seen) -> Reply:
        contents = [{"uri": seen.params["uri"], "mimeType": "application/pdf", "blob": _BLOB}]
        return result(seen, {"resultType": "complete", "contents": contents, "ttlMs": 0, "cacheScope": "private"})

    upstream.behaviours |= {"tools/call": behave, "resources/read": read}


def _speaks_the_modern_revision(upstream: ScriptedUpstream) -> None:
    async def refuses(seen: Seen) -> Reply:
        error = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": [_VERSION]}}
        return web.json_response({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}, status=400)

    async def discovers(seen: Seen) -> Reply:
        return result(seen, {
            "resultType": "complete", "supportedVersions": [_VERSION], "ttlMs": 60000, "cacheScope": "public",
            "capabilities": {"tools": {}, "resources": {}},
        })

    async def lists(seen: Seen) -> Reply:
        returned = {"resultType": "complete", "tools": [tool("write")], "ttlMs": 60000, "cacheScope": "public"}
        return result(seen, returned)

    upstream.behaviours |= {"initialize": refuses, "server/discover": discovers, "tools/list": lists}


@pytest.mark.parametrize("upstream_era", ["legacy", "modern"])
@pytest.mark.parametrize("client_era", ["legacy", "modern"])
async def test_a_linked_resource_becomes_an_artifact(
    shared_backing: Backing, upstream: ScriptedUpstream, upstream_era: str, client_era: str
) -> None:
    _links(upstream, {"type": "text", "text": "see"}, _LINK)
    if upstream_era == "modern":
        _speaks_the_modern_revision(upstream)
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=_EMBEDDED)))
    async with connected(config, initialize=client_era == "legacy") as client:
        asks = client.result if client_era == "legacy" else Modern(client).result
        returned = await asks("tools/call", {"name": "write", "arguments": {}})
        (content,) = (await asks("resources/read", {"uri": returned["_meta"]["artifact"]["artifact_uri"]}))["contents"]

    artifact, asked = returned["_meta"]["artifact"], upstream.last("resources/read")
    assert returned["content"][1] == _LINK
    assert base64.b64decode(content["blob"]) == _PDF
    assert (artifact["filename"], artifact["mime_type"]) == ("report.pdf", "application/pdf")
    assert asked.params["uri"] == _LINK["uri"]
    call, headers = upstream.last("tools/call").request.headers, asked.request.headers
    if upstream_era == "legacy":
        assert headers["Mcp-Session-Id"] == call["Mcp-Session-Id"]
        assert "_meta" not in asked.params
    else:
        assert (headers["Mcp-Method"], headers["Mcp-Name"]) == ("resources/read", _LINK["uri"])
        assert asked.params["_meta"]["io.modelcontextprotocol/protocolVersion"] == _VERSION


async def test_links_and_embedded_files_are_kept_in_their_order_each_link_once(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    image = {"type": "image", "data": base64.b64encode(b"GIF89a").decode(), "mimeType": "image/gif"}
    _links(upstream, _LINK, image, _LINK, {**_LINK, "uri": "memo://made/other.pdf", "name": "other"})
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=_EMBEDDED)))
    async with connected(config) as client:
        returned = await client.call("write")

    names = [artifact["filename"] for artifact in returned["_meta"]["artifacts"]]
    assert names == ["report.pdf", "write-2.gif", "other.pdf"]
    assert len(upstream.calls("resources/read")) == 2


async def test_a_resource_that_comes_on_a_stream_is_kept(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def streams(seen: Seen) -> Reply:
        noise = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n'
        text = '{"jsonrpc":"2.0","id":"%s","result":{"contents":[{"uri":"memo://a/b.txt","text":"streamed"}]}}'
        return await stream(seen, noise, b"data: " + (text % seen.message["id"]).encode() + b"\n\n")

    _links(upstream, _LINK)
    upstream.behaviours["resources/read"] = streams
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=_EMBEDDED)))
    async with connected(config) as client:
        returned = await client.call("write")
        read = await client.result("resources/read", {"uri": returned["_meta"]["artifact"]["artifact_uri"]})

    (content,) = read["contents"]
    assert content["text"] == "streamed"


async def _too_large(seen: Seen) -> Reply:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(seen.request)
    try:
        for _ in range(64):
            await response.write(b" " * 1024 * 1024)
    except ConnectionError:      # the gateway has read enough
        pass
    return response


async def _no_such(seen: Seen) -> Reply:
    return {"jsonrpc": "2.0", "id": seen.message["id"], "error": {"code": -32002, "message": "no such resource"}}


async def _fails(seen: Seen) -> Reply:
    return web.Response(status=500)


async def _empty(seen: Seen) -> Reply:
    return result(seen, {"contents": []})


async def _malformed(seen: Seen) -> Reply:
    return result(seen, {"contents": [{"uri": 7, "blob": []}]})


async def _broken(seen: Seen) -> Reply:
    return result(seen, {"contents": [{"uri": "memo://x", "blob": "not base64"}]})


@pytest.mark.parametrize("reads", [_no_such, _fails, _empty, _malformed, _broken, _too_large])
async def test_a_resource_that_cannot_be_read_is_reported_and_leaves_nothing(
    fresh_backing: Backing, upstream: ScriptedUpstream, reads: Callable[[Seen], Awaitable[Reply]]
) -> None:
    _links(upstream, _LINK)
    upstream.behaviours["resources/read"] = reads
    config = fresh_backing.config(entry(upstream.url, producer("write", None, output_locator=_EMBEDDED)))
    async with connected(config) as client:
        returned = await client.call("write")
        listed = (await client.result("resources/list"))["resources"]

    assert returned["isError"] is True
    assert returned["_meta"]["longshore/reason"] == "artifact_missing"
    assert listed == []
    assert fresh_backing.stored() == []


async def test_embedded_files_are_captured_beside_a_link_that_cannot_be_read(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _links(upstream, _LINK, {"type": "resource", "resource": {"uri": "memo://x/a.txt", "text": "here"}})
    upstream.behaviours["resources/read"] = _no_such
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=_EMBEDDED)))
    async with connected(config) as client:
        returned = await client.call("write")

    assert [artifact["filename"] for artifact in returned["_meta"]["artifacts"]] == ["a.txt"]
    assert len(returned["_meta"]["artifact_refusals"]) == 1


@pytest.mark.parametrize("locator", [{"mode": "none"}, {"mode": "regex"}])
async def test_links_are_read_in_mode_embedded_only(
    shared_backing: Backing, upstream: ScriptedUpstream, locator: dict[str, Any]
) -> None:
    _links(upstream, _LINK)
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=locator)))
    async with connected(config) as client:
        await client.call("write")

    assert upstream.calls("resources/read") == []


async def test_a_session_lost_before_the_read_is_renewed(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _links(upstream, _LINK)
    reads = upstream.behaviours["resources/read"]

    async def forgetful(seen: Seen) -> Reply:
        first = seen.request.headers["Mcp-Session-Id"] == upstream.last("tools/call").request.headers["Mcp-Session-Id"]
        return web.Response(status=404) if first else await reads(seen)

    upstream.behaviours["resources/read"] = forgetful
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=_EMBEDDED)))
    async with connected(config) as client:
        returned = await client.call("write")

    assert returned["_meta"]["artifact"]["size_bytes"] == len(_PDF)


@pytest.mark.parametrize("are_there", [True, False])
async def test_the_number_of_links_read_is_limited(
    shared_backing: Backing, upstream: ScriptedUpstream, *, are_there: bool
) -> None:
    """Unreadable links count too."""
    image = {"type": "image", "data": base64.b64encode(b"GIF89a").decode(), "mimeType": "image/gif"}
    _links(upstream, image, *({**_LINK, "uri": f"memo://made/{number}.pdf"} for number in range(60)))
    if not are_there:
        async def refuses(seen: Seen) -> Reply:
            error = {"code": -32002, "message": "Resource not found"}
            return web.json_response({"jsonrpc": "2.0", "id": seen.message["id"], "error": error})

        upstream.behaviours["resources/read"] = refuses
    config = shared_backing.config(entry(upstream.url, producer("write", None, output_locator=_EMBEDDED)))
    async with connected(config) as client:
        returned = await client.call("write")

    assert returned["_meta"]["artifact"]["mime_type"] == "image/gif"
    assert len(upstream.calls("resources/read")) == (19 if are_there else 20)
