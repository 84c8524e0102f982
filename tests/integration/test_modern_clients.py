"""Modern clients in front of servers of both eras."""

import asyncio
import contextlib
from typing import Any

import aiohttp.web
import msgspec
import pytest

from longshore.gateway.app import public_runner
from longshore.shared.metrics import Metrics
from longshore.shared.version import OWN_INFO
from tests.fixtures.gateway import ACCEPT, Backing, connected, consumer, entry, producer
from tests.fixtures.gateway import Client as SessionClient
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import ScriptedUpstream, Seen, result, stream, writes

_VERSION = "2026-07-28"
_PREFIX = "io.modelcontextprotocol/"


async def _discovers(seen: Seen) -> dict[str, Any]:
    return result(seen, {
        "resultType": "complete", "supportedVersions": [_VERSION], "capabilities": {"tools": {}}, "ttlMs": 60000,
        "cacheScope": "public",
    })


async def _completes(seen: Seen) -> dict[str, Any]:
    return result(seen, {"resultType": "complete", "content": [{"type": "text", "text": "done"}]})


async def _lists(seen: Seen) -> dict[str, Any]:
    mirrored = {"type": "object", "properties": {"path": {"type": "string", "x-mcp-header": "Path"}}}
    tools = [{"name": "read", "inputSchema": mirrored}]
    return result(seen, {"resultType": "complete", "tools": tools, "ttlMs": 60000, "cacheScope": "public"})


@pytest.fixture
def modern_upstream(upstream: ScriptedUpstream) -> ScriptedUpstream:
    upstream.behaviours |= {"server/discover": _discovers, "tools/call": _completes, "tools/list": _lists}
    return upstream


@pytest.mark.requirement("modern.json-or-sse", "modern.param-unknown")
async def test_a_call_passes_to_a_server_of_the_same_revision_as_it_is(
    shared_backing: Backing, modern_upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(modern_upstream.url)), initialize=False) as client:
        returned = await Modern(client).result(
            "tools/call", {"name": "größe"}, meta={"traceparent": "00-1-2-01"},
            headers={"Mcp-Name": "=?base64?Z3LDtsOfZQ==?=", "Mcp-Param-Region": "eu", "X-Longshore-Workspace": "blue"},
        )

    seen = modern_upstream.last("tools/call")
    assert returned["content"][0]["text"] == "done"
    assert seen.message["params"]["_meta"]["traceparent"] == "00-1-2-01"
    assert seen.message["id"] == 1
    named = {name: value for name, value in seen.request.headers.items() if name.lower().startswith(("mcp-", "x-"))}
    assert named == {
        "MCP-Protocol-Version": _VERSION, "Mcp-Method": "tools/call", "Mcp-Name": "=?base64?Z3LDtsOfZQ==?=",
        "Mcp-Param-Region": "eu",
    }


async def test_the_mcp_name_of_an_unknown_method_is_passed_on_unchanged(
    shared_backing: Backing, modern_upstream: ScriptedUpstream
) -> None:
    """Only the server knows which value it mirrors."""

    async def gets(seen: Seen) -> dict[str, Any]:
        return result(seen, {"resultType": "complete"})

    modern_upstream.behaviours["harbours/get"] = gets
    async with connected(shared_backing.config(entry(modern_upstream.url)), initialize=False) as client:
        await Modern(client).result("harbours/get", {"harbour": "Brest"}, headers={"Mcp-Name": "Brest"})

    assert modern_upstream.last("harbours/get").request.headers["Mcp-Name"] == "Brest"


async def test_a_workspace_named_in_the_message_is_not_forwarded(
    shared_backing: Backing, modern_upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(modern_upstream.url)), initialize=False) as client:
        await Modern(client).result("tools/call", {"name": "echo"}, meta={"io.longshore/workspace": "blue"})
        refused = await Modern(client).request(
            "tools/call", {"name": "echo"}, meta={"io.longshore/workspace": "blue/../red"}
        )

    assert set(modern_upstream.last("tools/call").params["_meta"]) == {
        f"{_PREFIX}protocolVersion", f"{_PREFIX}clientCapabilities",
    }
    assert (refused.status, refused.message["error"]["code"]) == (400, -32602)


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_files_pass_in_both_directions_within_their_workspace(
    shared_backing: Backing, upstream: ScriptedUpstream, era: str
) -> None:
    upstream.behaviours |= {"tools/call": writes(b"kept"), "tools/list": _lists}
    if era == "modern":
        upstream.behaviours["server/discover"] = _discovers
    config = shared_backing.config(entry(upstream.url, consumer("read"), producer("write")))
    async with connected(config, initialize=False) as client:
        modern, blue = Modern(client), {"X-Longshore-Workspace": f"blue-{era}"}
        discovered = await modern.result("server/discover", headers=blue)
        listed = await modern.result("tools/list", headers=blue)
        ticket = await modern.result("tools/call", {"name": "files_get_upload_url"}, headers=blue)
        uploaded = await client.upload(ticket["structuredContent"]["upload_url"], ("a.txt", b"a"))
        handle = {"path": uploaded.message["upload_handle"]}
        written = await modern.request("tools/call", {"name": "write", "arguments": {"path": "b.txt"}}, headers=blue)
        uri = written.message["result"]["_meta"]["artifact"]["artifact_uri"]
        read = await modern.result("resources/read", {"uri": uri}, headers=blue)
        foreign = await modern.request("resources/read", {"uri": uri})
        upstream.behaviours["tools/call"] = _completes
        await modern.result(
            "tools/call", {"name": "read", "arguments": handle}, headers={**blue, "Mcp-Param-Path": handle["path"]}
        )
        used = upstream.last("tools/call")
        elsewhere = await modern.result(
            "tools/call", {"name": "read", "arguments": handle}, headers={"Mcp-Param-Path": handle["path"]}
        )

    assert set(discovered["capabilities"]) == {"tools", "resources"}
    assert (discovered["cacheScope"], discovered["ttlMs"]) == ("private", 0)
    assert [tool["name"] for tool in listed["tools"]] == ["read", "files_get_upload_url", "files_await_upload"]
    assert (listed["cacheScope"], listed["ttlMs"]) == ("private", 0)
    assert read["contents"][0]["text"] == "kept"
    assert (foreign.status, foreign.message["error"]["code"]) == (400, -32602)
    assert used.params["arguments"]["path"].endswith("/a.txt")
    if era == "modern":
        assert used.request.headers["Mcp-Param-Path"] == used.params["arguments"]["path"]
    assert elsewhere["isError"] is True
    assert elsewhere["_meta"] == {f"{_PREFIX}serverInfo": OWN_INFO, "longshore/reason": "bad_tool_argument"}
    assert [own["_meta"] for own in (ticket, read)] == [{f"{_PREFIX}serverInfo": OWN_INFO}] * 2


async def test_a_legacy_server_has_one_session_per_workspace(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        modern = Modern(client)
        for workspace in ("one", "one", "two"):
            await modern.result("tools/call", {"name": "echo"}, headers={"X-Longshore-Workspace": workspace})

    calls = upstream.calls("tools/call")
    first, second, other = (seen.request.headers["Mcp-Session-Id"] for seen in calls)
    assert first == second != other
    assert {seen.request.headers["MCP-Protocol-Version"] for seen in calls} == {"2025-11-25"}
    assert len({seen.message["id"] for seen in calls}) == 3
    assert not any("_meta" in seen.params for seen in calls)


async def test_a_legacy_client_without_session_id_shares_the_scope_of_its_principal(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    token = "a-token-of-the-tests"
    head = {"X-Mcp-Adapter-Auth-Token": token}
    keys = {"type": "redis", "redis": {"url": shared_backing.redis_url, "key_base": "begun-by-the-other-era"}}
    auth = {"auth": {"enabled": True, "token": token}}
    config = shared_backing.config(entry(upstream.url, consumer("read")), core=auth, state_persistence=keys)
    async with connected(config, initialize=False) as client:
        begun = await Modern(client).result("tools/call", {"name": "files_get_upload_url"}, headers=head)
        initialized = await client.request("initialize", {}, head)
        called = await client.request("tools/call", {"name": "echo"}, head)
        link = await client.request("tools/call", {"name": "files_get_upload_url"}, head)

    assert initialized.status == 200
    assert called.message["result"]["content"][0]["text"] == "done"
    assert upstream.last("tools/call").request.headers["Mcp-Session-Id"]
    scope = link.message["result"]["structuredContent"]["session_id"]
    assert scope == begun["structuredContent"]["session_id"]


async def test_many_first_calls_at_once_open_one_session(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        headers = {"X-Longshore-Workspace": "crowd"}
        await asyncio.gather(*(
            Modern(client).result("tools/call", {"name": "echo"}, headers=headers) for _ in range(8)
        ))

    assert len({seen.request.headers["Mcp-Session-Id"] for seen in upstream.calls("tools/call")}) == 1


@pytest.mark.requirement("legacy.session-anew")
async def test_a_lost_session_is_renewed(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    lost: list[str] = []

    async def forgetful(seen: Seen) -> Any:
        if not lost:
            lost.append(seen.request.headers["Mcp-Session-Id"])
            return aiohttp.web.Response(status=404)
        return result(seen, {"content": []})

    upstream.behaviours["tools/call"] = forgetful
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        await Modern(client).result("tools/call", {"name": "echo"}, headers={"X-Longshore-Workspace": "lost"})

    assert upstream.last("tools/call").request.headers["Mcp-Session-Id"] not in lost


async def test_a_session_per_call_is_ended_after_the_call(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url, sessionless_clients="per_call"))
    async with connected(config, initialize=False) as client:
        modern = Modern(client)
        for _ in range(2):
            await modern.result("tools/call", {"name": "echo"})
        used = [seen.request.headers["Mcp-Session-Id"] for seen in upstream.calls("tools/call")]
        async with asyncio.timeout(20):
            while not set(used) <= set(upstream.deleted):
                await asyncio.sleep(0.01)

    assert len(set(used)) == 2


async def test_a_server_that_requires_sessions_refuses_modern_clients(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url, sessionless_clients="refuse"))
    async with connected(config, initialize=False) as client:
        answer = await Modern(client).request("server/discover")

    assert (answer.status, answer.reason) == (400, "unsupported_revision")


@pytest.mark.requirement("modern.discover")
async def test_a_client_that_accepts_input_requests_needs_no_session(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    can: dict[str, Any] = {f"{_PREFIX}clientCapabilities": {"elicitation": {}}}
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        modern = Modern(client)
        discovered = await modern.result("server/discover", meta=can)
        malformed = await modern.request("server/discover", meta={f"{_PREFIX}clientCapabilities": 7})
        await modern.result("tools/call", {"name": "echo"}, meta=can)

    assert discovered["supportedVersions"] == [_VERSION]
    assert (malformed.status, malformed.reason) == (400, "invalid_params")


@pytest.mark.requirement("modern.no-requests", "modern.result-type")
async def test_a_server_request_during_a_call_is_refused_and_the_call_continues(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    refused = asyncio.Event()
    asked = {"jsonrpc": "2.0", "id": 77, "method": "elicitation/create", "params": {}}
    logged = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "x"}}
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}

    async def asks(seen: Seen) -> Any:
        response = aiohttp.web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        for message in (asked, logged, progress):
            await response.write(b"data: " + msgspec.json.encode(message) + b"\n\n")
        async with asyncio.timeout(20):
            await refused.wait()
        await response.write(b"data: " + msgspec.json.encode(result(seen, {"content": []})) + b"\n\n")
        await response.write_eof()
        return response

    async def takes(seen: Seen) -> None:
        assert seen.message["id"] == 77
        assert seen.message["error"]["code"] == -32601
        refused.set()

    upstream.behaviours |= {"tools/call": asks, "": takes}
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        answer = await Modern(client).request("tools/call", {"name": "ask"})

    info = {"name": "scripted", "version": "7"}
    assert answer.message["result"] == {
        "resultType": "complete", "content": [], "_meta": {f"{_PREFIX}serverInfo": info},
    }
    assert b"notifications/progress" in answer.body
    assert b"notifications/message" not in answer.body
    assert b"elicitation" not in answer.body


@pytest.mark.requirement("modern.disconnect")
async def test_a_client_that_disconnects_cancels_its_call(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def works(seen: Seen) -> Any:
        await asyncio.Event().wait()

    upstream.behaviours["tools/call"] = works
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as leaving:
                async def leave() -> None:
                    await upstream.until("tools/call")
                    leaving.reschedule(0)

                await asyncio.gather(Modern(client).request("tools/call", {"name": "work"}), leave())
        cancelled = await upstream.until("notifications/cancelled")
        running = upstream.last("tools/call")

    assert cancelled.params["requestId"] == running.message["id"]


@pytest.mark.requirement("modern.unknown-method", "resources.not-found")
async def test_errors_of_a_legacy_server_are_converted(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def absent(seen: Seen) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": seen.message["id"], "error": {"code": -32002, "message": "no such resource"}}

    upstream.behaviours["resources/read"] = absent
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        modern = Modern(client)
        gone = await modern.request("resources/read", {"uri": "file:///nothing"})
        ping = await modern.request("ping")

    assert gone.status == 400
    assert gone.message == {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "no such resource"}}
    assert (ping.status, ping.message["error"]["code"]) == (404, -32601)


@pytest.mark.parametrize(("code", "status"), [(-32601, 404), (-32602, 400), (-32021, 400), (-32603, 200)])
async def test_an_error_that_comes_first_on_a_stream_sets_the_http_status(
    shared_backing: Backing, upstream: ScriptedUpstream, code: int, status: int
) -> None:
    async def fails(seen: Seen) -> Any:
        error = {"jsonrpc": "2.0", "id": seen.message["id"], "error": {"code": code, "message": "no"}}
        return await stream(seen, b"id: 1\ndata: \n\n", b"data: " + msgspec.json.encode(error) + b"\n\n")

    upstream.behaviours["tools/call"] = fails
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        answer = await Modern(client).request("tools/call", {"name": "echo"})

    assert (answer.status, answer.message["error"]["code"]) == (status, code)


async def test_the_head_of_a_silent_stream_is_sent(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Proxies between client and gateway see that the call is alive."""
    has_begun = asyncio.Event()

    async def waits(seen: Seen) -> Any:
        response = aiohttp.web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        await response.write(b"id: 1\ndata: \n\n")
        async with asyncio.timeout(30):
            await has_begun.wait()
        await response.write(b"data: " + msgspec.json.encode(result(seen, {"content": []})) + b"\n\n")
        return response

    upstream.behaviours["tools/call"] = waits
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        modern = Modern(client)
        modern.on_head = has_begun.set
        answer = await modern.request("tools/call", {"name": "echo"})

    assert answer.message["result"]["content"] == []


async def test_a_call_is_retried_with_input_and_its_file_is_captured_then(
    shared_backing: Backing, modern_upstream: ScriptedUpstream
) -> None:
    """Input requests and `requestState` pass unchanged between client and server."""
    wanted = {"who": {"method": "elicitation/create", "params": {"message": "Who?"}}}
    write = writes(b"kept")

    async def asks_first(seen: Seen) -> Any:
        if "inputResponses" in seen.params:
            return await write(seen)
        return result(seen, {"resultType": "input_required", "inputRequests": wanted, "requestState": "sealed"})

    modern_upstream.behaviours["tools/call"] = asks_first
    async with connected(
        shared_backing.config(entry(modern_upstream.url, producer("write"))), initialize=False
    ) as client:
        modern, call = Modern(client), {"name": "write", "arguments": {"path": "b.txt"}}
        asked = (await modern.request("tools/call", call)).message["result"]
        answers = {"inputResponses": {"who": {"action": "accept"}}, "requestState": asked["requestState"]}
        done = await modern.request("tools/call", {**call, **answers})

    assert asked == {"resultType": "input_required", "inputRequests": wanted, "requestState": answers["requestState"]}
    assert asked["requestState"].endswith(".sealed")
    assert modern_upstream.last("tools/call").params["inputResponses"] == answers["inputResponses"]
    assert modern_upstream.last("tools/call").params["requestState"] == "sealed"
    assert "resource_link" in {block["type"] for block in done.message["result"]["content"]}


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_get_and_delete_are_refused(
    shared_backing: Backing, upstream: ScriptedUpstream, verb: str
) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        headers = {**ACCEPT, "MCP-Protocol-Version": _VERSION}
        async with client.http.request(verb, client.base + client.mount, headers=headers) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_every_page_of_a_list_with_artifacts_is_private(
    shared_backing: Backing, modern_upstream: ScriptedUpstream
) -> None:
    async def pages(seen: Seen) -> dict[str, Any]:
        more = {} if "cursor" in seen.params else {"nextCursor": "2"}
        return result(seen, {
            "resultType": "complete", "resources": [], "ttlMs": 60000, "cacheScope": "public", **more,
        })

    modern_upstream.behaviours |= {"resources/list": pages, "prompts/list": pages}
    async with connected(
        shared_backing.config(entry(modern_upstream.url, producer("write"))), initialize=False
    ) as client:
        modern = Modern(client)
        first = await modern.result("resources/list")
        last = await modern.result("resources/list", {"cursor": first["nextCursor"]})
        theirs = await modern.result("prompts/list")

    assert [(page["cacheScope"], page["ttlMs"]) for page in (first, last)] == [("private", 0)] * 2
    assert (theirs["cacheScope"], theirs["ttlMs"]) == ("public", 60000)


@pytest.mark.requirement("modern.json-or-sse")
async def test_a_change_stream_passes_unchanged(
    shared_backing: Backing, modern_upstream: ScriptedUpstream
) -> None:
    event = b'data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}\n\n'

    async def acknowledges(seen: Seen) -> Any:
        return await stream(seen, event)

    modern_upstream.behaviours["subscriptions/listen"] = acknowledges
    async with connected(shared_backing.config(entry(modern_upstream.url)), initialize=False) as client:
        answer = await Modern(client).request("subscriptions/listen", {"notifications": {}})

    assert answer.body == event


async def test_a_change_stream_ends_with_its_result_when_the_gateway_drains(
    shared_backing: Backing, modern_upstream: ScriptedUpstream
) -> None:
    async def stands(seen: Seen) -> Any:
        response = aiohttp.web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        await response.write(b": here\n\n")
        await asyncio.Event().wait()

    modern_upstream.behaviours["subscriptions/listen"] = stands
    runner = public_runner(shared_backing.config(entry(modern_upstream.url)), Metrics())
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as http:
        modern = Modern(SessionClient(http, f"http://{host}:{port}", "/mcp/files"))
        answer, _ = await asyncio.gather(
            modern.request("subscriptions/listen", {"notifications": {}}), _drain(runner, modern_upstream)
        )

    assert answer.message == {"jsonrpc": "2.0", "id": 1, "result": {
        "resultType": "complete", "_meta": {f"{_PREFIX}subscriptionId": 1, f"{_PREFIX}serverInfo": OWN_INFO},
    }}


async def _drain(runner: aiohttp.web.AppRunner, upstream: ScriptedUpstream) -> None:
    await upstream.until("subscriptions/listen")
    await runner.cleanup()
