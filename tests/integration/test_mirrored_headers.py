"""Tool arguments mirrored in headers: checked, rebuilt, and sent again after a mismatch."""

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.fixtures.gateway import Answer, Backing, connected, consumer, entry, producer
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import ScriptedUpstream, Seen, result

_VERSION = "2026-07-28"
_MIRRORED = {"type": "string", "x-mcp-header": "Path"}
_DONE = {"resultType": "complete", "content": [{"type": "text", "text": "done"}]}


def _tool(name: str, **properties: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


async def _discovers(seen: Seen) -> dict[str, Any]:
    return result(seen, {
        "resultType": "complete", "supportedVersions": [_VERSION], "capabilities": {"tools": {}}, "ttlMs": 0,
        "cacheScope": "private",
    })


async def _refuses(seen: Seen) -> web.Response:
    error = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": [_VERSION]}}
    return web.json_response({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}, status=400)


class Strict:
    """Modern server whose tool declares a mirrored argument, which can change."""

    def __init__(self, upstream: ScriptedUpstream, *, header: str | None) -> None:
        self.header = header
        self.upstream = upstream
        upstream.behaviours |= {"server/discover": _discovers, "tools/call": self._call, "tools/list": self._list}

    async def _list(self, seen: Seen) -> dict[str, Any]:
        path = {"type": "string"} | ({"x-mcp-header": self.header} if self.header else {})
        listed = [_tool(name, path=path) for name in ("read", "write", "echo")]
        return result(seen, {"resultType": "complete", "tools": listed, "ttlMs": 0, "cacheScope": "private"})

    async def _call(self, seen: Seen) -> Any:
        wanted = seen.params.get("arguments", {}).get("path") if self.header else None
        said = seen.request.headers.get(f"Mcp-Param-{self.header}")
        if said != wanted:
            error = {"code": -32020, "message": f"{said} is not {wanted}"}
            return web.json_response({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}, status=400)
        return result(seen, _DONE)


@pytest.fixture(params=["modern", "legacy"])
def annotated(upstream: ScriptedUpstream, request: pytest.FixtureRequest) -> ScriptedUpstream:
    """Server of either era whose tools declare `path` as mirrored."""
    if request.param == "modern":
        Strict(upstream, header="Path")
    upstream.tools = [_tool(name, path=_MIRRORED) for name in ("read", "write", "echo")]
    return upstream


@pytest.mark.requirement("modern.param-match")
@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Mcp-Param-Path": "b"}, {"Mcp-Param-Path": "A"}, {"Mcp-Param-Path": "=?base64?YQ?="},
        {"Mcp-Param-Path": "=?base64?Yg==?="},
    ],
)
@pytest.mark.parametrize("can", [{}, {"elicitation": {"form": {}}}], ids=["", "a client that can be asked"])
async def test_a_call_whose_headers_say_other_than_its_arguments_reaches_no_server(
    shared_backing: Backing, annotated: ScriptedUpstream, headers: dict[str, str], can: dict[str, Any]
) -> None:
    meta = {"io.modelcontextprotocol/clientCapabilities": can}
    async with connected(shared_backing.config(entry(annotated.url)), initialize=False) as client:
        refused = await Modern(client).request(
            "tools/call", {"name": "echo", "arguments": {"path": "a"}}, headers=headers, meta=meta
        )

    error = refused.message["error"]
    assert (refused.status, error["code"], error["data"]["reason"]) == (400, -32020, "header_mismatch")
    assert annotated.calls("tools/call") == []


async def test_a_call_that_waits_goes_on_under_headers_that_agree_and_no_others(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Of a legacy server, which sends an input request during the call."""
    answered = asyncio.Event()

    async def asks(seen: Seen) -> Any:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        question = {"jsonrpc": "2.0", "id": 7, "method": "roots/list"}
        await response.write(b"data: " + msgspec.json.encode(question) + b"\n\n")
        async with asyncio.timeout(30):
            await answered.wait()
        await response.write(b"data: " + msgspec.json.encode(result(seen, {"content": []})) + b"\n\n")
        return response

    async def takes(seen: Seen) -> None:
        answered.set()

    upstream.behaviours |= {"tools/call": asks, "": takes}
    upstream.tools = [_tool("echo", path=_MIRRORED)]
    can: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"roots": {}}}
    call = {"name": "echo", "arguments": {"path": "a"}}
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        modern = Modern(client)
        asked = (await modern.request("tools/call", call, meta=can, headers={"Mcp-Param-Path": "a"})).message["result"]
        replies: dict[str, Any] = {key: {"roots": []} for key in asked["inputRequests"]}
        again = {**call, "inputResponses": replies, "requestState": asked["requestState"]}
        refused = await modern.request("tools/call", again, meta=can, headers={"Mcp-Param-Path": "b"})
        done = await modern.result("tools/call", again, meta=can, headers={"Mcp-Param-Path": "a"})

    assert (refused.status, refused.message["error"]["code"]) == (400, -32020)
    assert done["content"] == []


@pytest.mark.requirement("modern.param-null")
async def test_a_call_whose_headers_agree_passes(shared_backing: Backing, annotated: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(annotated.url)), initialize=False) as client:
        modern = Modern(client)
        for headers in ({"Mcp-Param-Path": "a"}, {"mcp-param-path": "a"}):
            await modern.result("tools/call", {"name": "echo", "arguments": {"path": "a"}}, headers=headers)
        await modern.result("tools/call", {"name": "echo", "arguments": {"path": None}})
        await modern.result("tools/call", {"name": "echo"})

    assert len(annotated.calls("tools/call")) == 4


@pytest.mark.requirement("modern.client-headers")
async def test_what_longshore_changes_in_the_arguments_is_in_the_headers(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """A handle or `data:` URI that became a path, and an output path that the client did not send."""
    Strict(upstream, header="Path")
    config = shared_backing.config(entry(upstream.url, consumer("read"), producer("write")))
    async with connected(config, initialize=False) as client:
        modern = Modern(client)
        ticket = await modern.result("tools/call", {"name": "files_get_upload_url"})
        uploaded = await client.upload(ticket["structuredContent"]["upload_url"], ("a.txt", b"a"))
        for given in (uploaded.message["upload_handle"], "data:text/plain;base64,YQ=="):
            await modern.result(
                "tools/call", {"name": "read", "arguments": {"path": given}}, headers={"Mcp-Param-Path": given}
            )
        await modern.request("tools/call", {"name": "write", "arguments": {}})

    paths = [seen.params["arguments"]["path"] for seen in upstream.calls("tools/call")]
    assert [seen.request.headers["Mcp-Param-Path"] for seen in upstream.calls("tools/call")] == paths
    assert all(path.startswith("/") for path in paths)


async def test_a_tool_that_wants_another_header_by_now_is_looked_up_and_called_again(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """A legacy client sends no such headers; longshore adds them."""
    server = Strict(upstream, header="Path")
    upstream.behaviours["initialize"] = _refuses
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        call = {"name": "echo", "arguments": {"path": "a"}}
        before = await client.result("tools/call", call)
        server.header = "File"
        after = await client.result("tools/call", call)

    assert before == after == {"content": _DONE["content"]}
    sent = [[name for name in seen.request.headers if name.startswith("Mcp-Param-")] for seen in
            upstream.calls("tools/call")]
    assert sent == [["Mcp-Param-Path"], ["Mcp-Param-Path"], ["Mcp-Param-File"]]


async def test_a_server_that_refuses_all_mirrored_headers_gets_the_call_twice(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    server = Strict(upstream, header="Path")
    upstream.behaviours["initialize"] = _refuses

    async def never(seen: Seen) -> web.Response:
        server.header = f"File-{len(upstream.calls('tools/call'))}"
        error = {"code": -32020, "message": "never"}
        return web.json_response({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}, status=400)

    async with connected(shared_backing.config(entry(upstream.url))) as client:
        upstream.behaviours["tools/call"] = never
        answer = await client.request("tools/call", {"name": "echo", "arguments": {"path": "a"}})

    assert (answer.status, answer.message["error"]["code"]) == (200, -32020)
    assert len(upstream.calls("tools/call")) == 2


async def test_a_client_that_knows_the_list_better_than_longshore_is_believed(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """The list has changed: it is requested again before a call is refused."""
    server = Strict(upstream, header="Path")
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        modern, call = Modern(client), {"name": "echo", "arguments": {"path": "a"}}
        await modern.result("tools/call", call, headers={"Mcp-Param-Path": "a"})
        server.header = None
        await modern.result("tools/call", call)


async def test_an_argument_that_fits_into_no_header_is_an_error_for_the_caller(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    Strict(upstream, header="Path")
    upstream.behaviours["initialize"] = _refuses
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        said = await client.result("tools/call", {"name": "echo", "arguments": {"path": "x" * 10_000}})

    assert said["isError"] is True
    assert "the argument path is too long" in said["content"][0]["text"]
    assert upstream.calls("tools/call") == []


async def test_a_header_beyond_what_is_read_of_any_is_refused_and_shown_nowhere(
    shared_backing: Backing, annotated: ScriptedUpstream, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    long = "x" * 40_000
    async with connected(shared_backing.config(entry(annotated.url)), initialize=False) as client:
        refused: Answer = await Modern(client).request(
            "tools/call", {"name": "echo", "arguments": {"path": long}}, headers={"Mcp-Param-Path": long}
        )

    assert (refused.status, refused.message["error"]["code"]) == (400, -32020)
    assert annotated.calls("tools/call") == []
    shown = refused.body.decode() + "".join(capsys.readouterr()) + caplog.text
    assert "xxxx" not in shown


@pytest.mark.requirement("modern.client-rejects")
async def test_a_tool_that_breaks_a_rule_of_headers_is_no_tool_for_clients_with_a_session(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """longshore is the client of that server, and clients must not use such a tool."""

    async def lists(seen: Seen) -> dict[str, Any]:
        tools = [_tool("good", path=_MIRRORED), _tool("bad", share={"type": "number", "x-mcp-header": "Share"})]
        return result(seen, {"resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private"})

    upstream.behaviours |= {"initialize": _refuses, "server/discover": _discovers, "tools/list": lists}
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        listed = await client.result("tools/list")

    assert [tool["name"] for tool in listed["tools"]] == ["good"]
