"""Legacy clients in front of a scripted modern-only server: requests and responses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.fixtures.collector import over_http
from tests.fixtures.gateway import INIT, Answer, Backing, Client, connected, consumer, entry, producer
from tests.fixtures.modern_upstream import DONE, PREFIX, VERSION, completes, modern_upstream
from tests.fixtures.upstreams import ScriptedUpstream, Seen, result, stream, writes


@pytest.fixture
async def modern_only() -> AsyncIterator[ScriptedUpstream]:
    """Server that refuses `initialize`."""
    async with modern_upstream() as upstream:
        yield upstream


@pytest.mark.requirement("tools.capability")
async def test_a_session_starts_with_the_discovered_capabilities(
    shared_backing: Backing, modern_only: ScriptedUpstream
) -> None:
    """Change notifications included."""
    async with connected(shared_backing.config(entry(modern_only.url)), initialize=False) as client:
        opened = await client.initialize()
        pong = await client.result("ping")

    assert opened == {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "logging": {}},
        "serverInfo": {"name": "scripted", "version": "9"},
    }
    assert pong == {}
    assert modern_only.calls("notifications/initialized") == []
    assert modern_only.calls("ping") == []


@pytest.mark.requirement("modern.client-headers", "modern.client-encodes", "modern.client-meta")
async def test_each_request_carries_the_modern_meta_and_headers(
    shared_backing: Backing, modern_only: ScriptedUpstream
) -> None:
    """`_meta` and headers are modern; no session id is sent; the client's own keys stay."""
    async with connected(shared_backing.config(entry(modern_only.url))) as client:
        await client.result("logging/setLevel", {"level": "warning"})
        params = {"name": "echo", "arguments": {"region": "größe"}, "_meta": {"progressToken": 7, "x/own": 1}}
        called = await client.result("tools/call", params)

    seen = modern_only.last("tools/call")
    assert called == {"content": DONE["content"]}
    assert seen.params["_meta"] == {
        "progressToken": 7, "x/own": 1, f"{PREFIX}protocolVersion": VERSION,
        f"{PREFIX}clientCapabilities": {"sampling": {}}, f"{PREFIX}logLevel": "warning",
        f"{PREFIX}clientInfo": {"name": "tests", "version": "1"},
    }
    head = seen.request.headers
    assert (head["MCP-Protocol-Version"], head["Mcp-Method"], head["Mcp-Name"]) == (VERSION, "tools/call", "echo")
    assert head["Mcp-Param-Region"] == "=?base64?Z3LDtsOfZQ==?="
    assert "Mcp-Session-Id" not in head
    assert modern_only.calls("logging/setLevel") == []


@pytest.mark.parametrize("own", [None, "00-1-2-01"])
async def test_a_traced_request_names_its_trace_where_the_client_names_none(
    shared_backing: Backing, modern_only: ScriptedUpstream, own: str | None
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    params = {"name": "echo", "arguments": {}} | ({"_meta": {"traceparent": own}} if own else {})
    with over_http() as collector:
        telemetry = {"enabled": True, "transport": "http", "endpoint": collector.url}
        async with connected(shared_backing.config(entry(modern_only.url), telemetry=telemetry)) as client:
            await client.request("tools/call", params, {"traceparent": f"00-{trace}-b7ad6b7169203331-01"})

    named = modern_only.last("tools/call").params["_meta"]["traceparent"]
    assert named == own if own else named.startswith(f"00-{trace}-")


async def test_an_unknown_log_level_is_refused(shared_backing: Backing, modern_only: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(modern_only.url))) as client:
        answer = await client.request("logging/setLevel", {"level": "loud"})

    assert answer.message["error"]["code"] == -32602


async def test_an_unknown_method_does_not_end_the_session(
    shared_backing: Backing, modern_only: ScriptedUpstream
) -> None:
    """The modern status is 404, which would tell a legacy client that its session was lost."""

    async def unknown(seen: Seen) -> web.Response:
        error = {"code": -32601, "message": "none"}
        return web.json_response({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}, status=404)

    modern_only.behaviours["prompts/list"] = unknown
    async with connected(shared_backing.config(entry(modern_only.url))) as client:
        upstreams = await client.request("prompts/list")
        ours = await client.request("tasks/list")

    assert [(answer.status, answer.message["error"]["code"]) for answer in (upstreams, ours)] == [(200, -32601)] * 2


async def test_a_stream_keeps_its_notifications_and_an_unknown_kind_of_result_is_an_error(
    shared_backing: Backing, modern_only: ScriptedUpstream
) -> None:
    async def streams(seen: Seen) -> web.StreamResponse:
        last = msgspec.json.encode(result(seen, {"resultType": "task", "task": {}}))
        note = b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}\n\n'
        return await stream(seen, note, b"data: " + last + b"\n\n")

    modern_only.behaviours["tools/call"] = streams
    async with connected(shared_backing.config(entry(modern_only.url))) as client:
        answer = await client.request("tools/call", {"name": "echo", "arguments": {}})

    assert b"notifications/progress" in answer.body
    assert "kind of result" in answer.message["error"]["message"]


async def test_the_era_of_a_server_that_requires_headers_is_probed_with_the_first_caller(
    shared_backing: Backing, modern_only: ScriptedUpstream
) -> None:
    """The first probe lacks those headers."""
    needs = {"client_headers": {"required": ["X-Key"], "passthrough": ["X-Key"]}}
    config = shared_backing.config(entry(modern_only.url, upstream=needs))
    async with connected(config, initialize=False) as client:
        opened = await client.initialize({"X-Key": "k"})
        again = await client.initialize({"X-Key": "k"})

    assert opened["serverInfo"] == again["serverInfo"] == {"name": "scripted", "version": "9"}
    assert modern_only.last("server/discover").request.headers["X-Key"] == "k"


async def test_a_client_without_session_id_continues_the_scope_of_its_principal_without_initialize(
    shared_backing: Backing, modern_only: ScriptedUpstream
) -> None:
    meta = {f"{PREFIX}protocolVersion": VERSION, f"{PREFIX}clientCapabilities": {}}
    head = {"MCP-Protocol-Version": VERSION, "Mcp-Method": "tools/call", "Mcp-Name": "echo"}
    own = shared_backing.own_keys("begun-without-initialize")
    config = shared_backing.config(entry(modern_only.url), core=_AUTH, state_persistence=own)
    async with connected(config, initialize=False) as client:
        modern = await client.request("tools/call", {"name": "echo", "_meta": meta}, {**head, **_TOKEN})
        initialized = await client.request("initialize", INIT, _TOKEN)
        pong = await client.request("ping", None, _TOKEN)
        called = await client.request("tools/call", {"name": "echo"}, _TOKEN)
        async with client.http.get(client.base + client.mount, headers={"Accept": "*/*", **_TOKEN}) as stream:
            stands = stream.status

    assert modern.message["result"] == DONE
    assert (initialized.status, pong.message["result"]) == (200, {})
    assert called.message["result"] == {"content": DONE["content"]}
    assert stands == 200


_TOKEN = {"X-Mcp-Adapter-Auth-Token": "a-token-of-the-tests"}
_AUTH = {"auth": {"enabled": True, "token": "a-token-of-the-tests"}}


async def test_a_server_that_was_replaced_by_a_legacy_one_is_detected(
    shared_backing: Backing, modern_only: ScriptedUpstream
) -> None:
    """The first caller gets an error, and the server is probed again; older sessions have ended."""
    async with connected(shared_backing.config(entry(modern_only.url))) as client:
        for method in ("initialize", "server/discover", "tools/list", "tools/call"):
            del modern_only.behaviours[method]
        modern_only.seen.clear()
        first = await client.request("initialize", INIT)
        await modern_only.until("notifications/initialized")
        while (answer := await client.request("initialize", INIT)).status != 200 or "result" not in answer.message:
            pass
        before = await client.request("tools/list")
        await client.initialize()
        after = await client.request("tools/list")

    assert first.reason == "upstream_unavailable"
    assert answer.message["result"]["serverInfo"]["version"] == "7"
    assert (before.status, after.status) == (404, 200)


async def test_a_cancelled_call_leaves_the_servers_stream(
    shared_backing: Backing, modern_only: ScriptedUpstream
) -> None:
    """A modern server detects the cancellation so."""
    left = asyncio.Event()

    async def waits(seen: Seen) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        try:
            await asyncio.Event().wait()
        finally:
            left.set()               # the test's server cancels what nobody listens to
        return response

    modern_only.behaviours["tools/call"] = waits
    async with connected(shared_backing.config(entry(modern_only.url))) as client:
        message = {"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": {"name": "echo"}}
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}}

        async def give_up() -> Answer:
            await modern_only.until("tools/call")
            return await client.post(cancel)

        async with asyncio.timeout(20):
            ended, answer = await asyncio.gather(client.post(message), give_up())
            await left.wait()

    assert answer.status == 202
    assert ended.reason == "cancelled"


async def test_files_go_in_and_come_out(shared_backing: Backing, modern_only: ScriptedUpstream) -> None:
    """Adapters work as in front of legacy servers."""
    config = shared_backing.config(entry(modern_only.url, consumer("read"), producer("write")))
    async with connected(config) as client:
        handle = await client.upload_one("tide.txt", b"high")
        await client.call("read", {"path": handle})
        modern_only.behaviours["tools/call"] = _writes_modern
        wrote = await client.call("write", {"path": "out.txt"})
        content = await _read(client, wrote["_meta"]["artifact"]["artifact_uri"])

    path = modern_only.calls("tools/call")[0].params["arguments"]["path"]
    assert path.startswith(str(shared_backing.root))
    assert content == "written"


async def _writes_modern(seen: Seen) -> dict[str, Any]:
    await writes(b"written")(seen)
    return await completes(seen)


async def _read(client: Client, uri: str) -> str:
    text: str = (await client.result("resources/read", {"uri": uri}))["contents"][0]["text"]
    return text
