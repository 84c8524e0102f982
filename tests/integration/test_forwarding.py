"""Messages between client and upstream: bytes as they are, streams as they come, failures with a reason."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from tests.fixtures.gateway import Backing, connected, consumer, entry
from tests.fixtures.processes import free_port
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, stream

_ODD = b'{ "jsonrpc":"2.0",\t"id":%d, "result":{"z":1,"a":[1e5,-0.0,"\\u00fc"],"_meta":{"x/y":null},"unknown":{}}}'


@pytest.mark.requirement("legacy.json-or-sse")
async def test_a_json_answer_keeps_every_byte(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def odd(seen: Seen) -> Reply:
        return web.Response(body=_ODD % seen.message["id"], content_type="application/json")

    upstream.behaviours["vendor/odd"] = odd
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await client.request("vendor/odd", {"deep": {"er": [1, 2.50]}})

    assert answer.body == _ODD % 2
    assert upstream.last("vendor/odd").body.endswith(b'"method":"vendor/odd","params":{"deep":{"er":[1,2.5]}}}')


async def test_a_large_answer_passes_whole(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def large(seen: Seen) -> Reply:
        return result(seen, {"content": [{"type": "text", "text": "x" * 3_000_000}]})

    upstream.behaviours["tools/call"] = large
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        assert len((await client.call("echo"))["content"][0]["text"]) == 3_000_000


@pytest.mark.requirement("legacy.json-or-sse")
async def test_an_event_stream_keeps_ids_comments_and_order(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    events = [
        b": hello\n\n",
        b'id: 7\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n',
        b'retry: 500\r\nid: 8\r\ndata: {"jsonrpc":"2.0","id":2,\r\ndata: "result":{}}\r\n\r\n',
    ]

    async def streams(seen: Seen) -> Reply:
        return await stream(seen, *events)

    upstream.behaviours["tools/call"] = streams
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await client.request("tools/call", {"name": "echo"})

    assert answer.body == b"".join(events)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["X-Accel-Buffering"] == "no"


async def test_progress_arrives_before_the_result(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """Also where the result is changed on its way: only the response waits, nothing before it."""
    go_on = asyncio.Event()

    async def slow_list(seen: Seen) -> Reply:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        await response.write(b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}\n\n')
        await go_on.wait()
        await response.write(b'id: 9\ndata: {"jsonrpc":"2.0","id":5,"result":{"tools":[]}}\n\n')
        return response

    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        upstream.behaviours["tools/list"] = slow_list
        message = {"jsonrpc": "2.0", "id": 5, "method": "tools/list"}
        async with client.http.post(client.base + client.mount, json=message, headers=client.headers()) as answer:
            first = await answer.content.readuntil(b"\n\n")
            assert b"notifications/progress" in first
            go_on.set()
            second = await answer.content.readuntil(b"\n\n")

    assert second.startswith(b"id: 9\n")
    assert b"files_get_upload_url" in second


@pytest.mark.requirement("legacy.get")
async def test_the_get_stream_carries_what_the_upstream_sends(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def standing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"id: " + request.headers["Last-Event-ID"].encode() + b"\ndata: {}\n\n")
        return response

    upstream.on_get = standing
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        headers = client.headers({"Accept": "text/event-stream", "Last-Event-ID": "41"})
        async with client.http.get(client.base + client.mount, headers=headers) as answer:
            assert answer.status == 200
            assert await answer.read() == b"id: 41\ndata: {}\n\n"


@pytest.mark.requirement("legacy.get")
async def test_a_server_without_get_stream_says_so_itself(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        headers = client.headers({"Accept": "text/event-stream"})
        async with client.http.get(client.base + client.mount, headers=headers) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.requirement("legacy.accepted")
async def test_notifications_and_answers_reach_the_upstream(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        notified = await client.post(cancelled)
        answered = await client.post({"jsonrpc": "2.0", "id": "up-1", "result": {"roots": []}})
        refused = await client.post({"jsonrpc": "2.0", "id": 4, "error": {"code": -1, "message": "no"}})

    assert [(answer.status, answer.body) for answer in (notified, answered, refused)] == [(202, b"")] * 3
    assert [seen.message.get("id") for seen in upstream.seen[-3:]] == [None, "up-1", 4]


async def test_an_upstream_that_is_gone_is_an_error_with_the_calls_id(shared_backing: Backing) -> None:
    config = shared_backing.config(
        entry(f"http://127.0.0.1:{free_port()}/mcp"), core={"max_start_wait_seconds": 0}
    )
    async with connected(config, initialize=False) as client:
        answer = await client.request("initialize", {})

        assert (answer.message["id"], answer.reason) == (1, "upstream_unavailable")
        async with client.http.get(client.base + "/healthz") as health:
            assert health.status == 503


@pytest.mark.parametrize("body", [b"<html>oops</html>", b"", b"[1,2", b"null"])
async def test_nonsense_where_a_list_was_expected_is_an_error(
    shared_backing: Backing, upstream: ScriptedUpstream, body: bytes
) -> None:
    async def nonsense(_: Seen) -> Reply:
        return web.Response(body=body, content_type="application/json")

    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        upstream.behaviours["tools/list"] = nonsense
        answer = await client.request("tools/list")

    assert (answer.message["id"], answer.reason) == (2, "upstream_unavailable")


async def test_a_stream_that_breaks_off_ends_with_an_error_for_the_call(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def breaks(seen: Seen) -> Reply:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        await response.write(b": beginning\n\n")
        assert seen.request.transport is not None
        seen.request.transport.abort()
        return response

    upstream.behaviours["tools/call"] = breaks
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await client.request("tools/call", {"name": "echo"})

    assert answer.body.startswith(b": beginning\n\n")
    assert (answer.message["id"], answer.reason) == (2, "upstream_unavailable")


async def test_a_json_answer_that_breaks_off_is_cut_off(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def breaks(seen: Seen) -> Reply:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = 1_000_000
        await response.prepare(seen.request)
        await response.write(b"{" * 300_000)
        assert seen.request.transport is not None
        seen.request.transport.close()
        return response

    upstream.behaviours["vendor/breaks"] = breaks
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.request("vendor/breaks")

        assert (await client.call("echo"))["content"][0]["text"] == "done"


@pytest.mark.parametrize("streams", [False, True])
async def test_a_tool_that_is_too_slow_is_cancelled_upstream(
    shared_backing: Backing, upstream: ScriptedUpstream, streams: bool
) -> None:
    forever = asyncio.Event()

    async def hang(seen: Seen) -> Reply:
        if streams:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(seen.request)
            await response.write(b": working\n\n")
        await forever.wait()
        return None

    upstream.behaviours["tools/call"] = hang
    config = shared_backing.config(entry(upstream.url, tool_defaults={"tool_call_timeout_seconds": 1}))
    async with connected(config) as client:
        async with asyncio.timeout(20):
            answer = await client.request("tools/call", {"name": "echo"})
            cancelled = await upstream.until("notifications/cancelled")
        forever.set()

    assert (answer.message["id"], answer.reason) == (2, "upstream_timeout")
    assert cancelled.params["requestId"] == 2


async def test_redirects_are_not_followed(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def away(_: Seen) -> Reply:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/elsewhere"})

    upstream.behaviours["tools/call"] = away
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await client.request("tools/call", {"name": "echo"})

    assert (answer.status, answer.reason) == (200, "upstream_unavailable")
    assert "307" in answer.message["error"]["message"]
    assert "Location" not in answer.headers


async def test_a_client_that_leaves_closes_the_upstreams_stream(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    left = asyncio.Event()

    async def standing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b": tick\n\n")
                await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.CancelledError):
            left.set()
            raise

    upstream.on_get = standing
    async with connected(shared_backing.config(entry(upstream.url))) as client, aiohttp.ClientSession() as leaving:
        headers = client.headers({"Accept": "text/event-stream"})
        async with leaving.get(client.base + client.mount, headers=headers) as answer:
            await answer.content.readuntil(b"\n\n")
            answer.close()
        async with asyncio.timeout(20):
            await left.wait()


async def test_a_refusal_keeps_what_it_says_in_its_head(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def refuse(seen: Seen) -> Reply:
        headers = {
            "WWW-Authenticate": 'Bearer realm="x"', "Retry-After": "7", "Set-Cookie": "a=b", "Server": "secret/1",
        }
        return web.Response(status=401, body=b"{}", content_type="application/json", headers=headers)

    upstream.behaviours["tools/call"] = refuse
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await client.request("tools/call", {"name": "echo"})

    assert answer.status == 401
    assert (answer.headers["WWW-Authenticate"], answer.headers["Retry-After"]) == ('Bearer realm="x"', "7")
    assert "Set-Cookie" not in answer.headers
    assert "secret" not in answer.headers.get("Server", "")
