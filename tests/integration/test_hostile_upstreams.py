"""Upstreams that answer with anything but MCP: the caller learns so at once, and the gateway goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from tests.fixtures.gateway import Backing, Client, connected, consumer, entry
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, stream

_LIMIT_S = 1
_AT_ONCE_S = 5.0             # far below the limit that there is without a configured one
_PROMPT_S = _LIMIT_S + 1.5
_TEN_MB = 10 * 1024 * 1024
_BROKEN = [b"\xff\xfe{}", b"[1]", b"null", b"", b"{" * 9000]
_LIMITED = {"defaults": {"tool_call_timeout_seconds": _LIMIT_S}}

Asked = tuple[str, dict[str, object]]
CALL: Asked = ("tools/call", {"name": "echo"})
REQUESTS: list[Asked] = [
    CALL,
    ("tools/list", {}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "a"}),
    ("resources/list", {}),
    ("resources/read", {"uri": "test://a"}),
    ("completion/complete", {}),
    ("logging/setLevel", {"level": "debug"}),
    ("harbour/unknown", {}),
]


@pytest.fixture
async def client(shared_backing: Backing, upstream: ScriptedUpstream) -> AsyncIterator[Client]:
    """A session at a gateway that adds to the lists, so that it reads them."""
    upstream.capabilities |= {"resources": {}}
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")), core=_LIMITED)) as opened:
        yield opened


@pytest.fixture
async def patient(shared_backing: Backing, upstream: ScriptedUpstream) -> AsyncIterator[Client]:
    """The same with a minute for each request: what comes sooner did not wait for the time to run out."""
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as opened:
        yield opened


def _says(raw: bytes, *, then: str = "close") -> Callable[[Seen], Awaitable[Reply]]:
    """Answer with these bytes, in place of HTTP, and end the connection."""

    async def behave(seen: Seen) -> Reply:
        transport = seen.request.transport
        assert transport is not None
        transport.write(raw)
        transport.close() if then == "close" else transport.abort()
        return web.Response()

    return behave


def _page(status: int) -> Callable[[Seen], Awaitable[Reply]]:
    async def behave(seen: Seen) -> Reply:
        headers = {"Location": "http://127.0.0.1:9/"} if status in (301, 302, 307, 308) else {}
        return web.Response(status=status, text="<html>Welcome</html>", content_type="text/html", headers=headers)

    return behave


async def _nothing(seen: Seen) -> Reply:
    await asyncio.sleep(30)
    return None


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
USELESS = {
    "a page": _page(200),
    "a failure": _page(500),
    "an overloaded balancer": _page(503),
    "a redirect": _page(302),
    "another redirect": _page(308),
    "an accepted notification": _says(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"),
    "no content": _says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "an untyped body": _says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
    "not HTTP": _says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "an HTTP/2 frame": _says(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"),
    "a giant header": _says(_HEAD + b"X-Padding: " + b"a" * 200_000 + b"\r\nContent-Length: 2\r\n\r\n{}"),
    "giant headers": _says(_HEAD + b"X-Padding: aaaaaaaa\r\n" * 20_000 + b"Content-Length: 2\r\n\r\n{}"),
    "two lengths": _says(_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "a negative length": _says(_HEAD + b"Content-Length: -1\r\n\r\n{}"),
    "a length and chunks": _says(_HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "an upgrade": _says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
    "an end": _says(b""),
    "a reset": _says(b"", then="abort"),
    "half a head": _says(_HEAD),
}


@pytest.mark.parametrize("behave", USELESS.values(), ids=USELESS)
@pytest.mark.parametrize("asked", [CALL, ("tools/list", {})], ids=["relayed", "read"])
async def test_what_is_not_mcp_is_an_error_with_a_reason(
    patient: Client, upstream: ScriptedUpstream, behave: Callable[[Seen], Awaitable[Reply]], asked: Asked
) -> None:
    upstream.behaviours[asked[0]] = behave
    async with asyncio.timeout(_AT_ONCE_S):
        answer = await patient.request(*asked)
    del upstream.behaviours[asked[0]]

    assert (answer.status, answer.message["id"], answer.reason) == (200, patient.last_id, "upstream_unavailable")
    assert len(answer.message["error"]["message"]) > 20
    assert (await patient.call("echo"))["content"][0]["text"] == "done"


@pytest.mark.parametrize("asked", REQUESTS, ids=[method for method, _ in REQUESTS])
async def test_silence_ends_with_the_time_that_is_configured(
    client: Client, upstream: ScriptedUpstream, asked: Asked
) -> None:
    """For every request alike, and the upstream is told that nobody waits any more."""
    upstream.behaviours[asked[0]] = _nothing
    async with asyncio.timeout(_PROMPT_S):
        answer = await client.request(*asked)
    told = await upstream.until("notifications/cancelled")

    assert (answer.status, answer.message["id"], answer.reason) == (200, client.last_id, "upstream_timeout")
    assert told.params["requestId"] == client.last_id


async def test_the_result_of_a_task_is_waited_for(client: Client, upstream: ScriptedUpstream) -> None:
    """It comes when the work is done, whatever a call may take."""

    async def later(seen: Seen) -> Reply:
        await asyncio.sleep(_LIMIT_S + 0.3)
        return result(seen, {"content": []})

    upstream.behaviours["tasks/result"] = later

    assert await client.result("tasks/result", {"taskId": "a"}) == {"content": []}


async def test_silence_to_initialize_and_to_notifications_ends_too(
    client: Client, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours |= {"initialize": _nothing, "notifications/roots/list_changed": _nothing}
    async with asyncio.timeout(_PROMPT_S):
        opening, notice = await asyncio.gather(
            client.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}}),
            client.post({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}),
        )

    assert (opening.status, opening.reason) == (200, "upstream_timeout")
    assert "Mcp-Session-Id" not in opening.headers
    assert (notice.status, notice.reason) == (504, "upstream_timeout")


@pytest.mark.parametrize("asked", [CALL, ("tools/list", {})], ids=["relayed", "read"])
async def test_an_endless_stream_ends_with_the_time_that_is_configured(
    client: Client, upstream: ScriptedUpstream, asked: Asked
) -> None:
    closed = asyncio.Event()

    async def endless(seen: Seen) -> Reply:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        try:
            while True:
                await response.write(b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n')
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    upstream.behaviours[asked[0]] = endless
    async with asyncio.timeout(_PROMPT_S):
        answer = await client.request(*asked)
        await closed.wait()

    assert answer.status == 200
    assert (answer.message["id"], answer.reason) == (client.last_id, "upstream_timeout")


async def test_an_endless_body_is_cut_with_the_time_that_is_configured(
    client: Client, upstream: ScriptedUpstream
) -> None:
    """Half a body has gone out by then: it must not look whole."""

    async def endless(seen: Seen) -> Reply:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(seen.request)
        while True:
            await response.write(b" " * 1000)
            await asyncio.sleep(0.001)

    upstream.behaviours["tools/call"] = endless
    async with asyncio.timeout(_PROMPT_S):
        with pytest.raises((aiohttp.ClientError, OSError)):
            await client.request(*CALL)

    upstream.behaviours.clear()
    assert (await client.call("echo"))["content"][0]["text"] == "done"


async def test_a_line_of_ten_megabytes_passes_as_it_came(client: Client, upstream: ScriptedUpstream) -> None:
    """Relayed in the first case; in the second, held and looked into."""
    event = b'data: {"jsonrpc":"2.0","id":%d,"result":{"tools":[],"x":"' + b"y" * _TEN_MB + b'"}}\n\n'

    async def large(seen: Seen) -> Reply:
        return await stream(seen, event.replace(b"%d", b"%d" % seen.message["id"], 1))

    async with asyncio.timeout(20):
        upstream.behaviours |= {"prompts/get": large, "tools/list": large}
        relayed = await client.request("prompts/get", {"name": "a"})
        read = await client.request("tools/list")

    assert relayed.body == event.replace(b"%d", b"%d" % relayed.message["id"], 1)
    assert len(read.message["result"]["x"]) == _TEN_MB
    assert [tool["name"] for tool in read.message["result"]["tools"]] == ["files_get_upload_url", "files_await_upload"]


async def test_a_line_without_end_is_given_up_at_64_mib(patient: Client, upstream: ScriptedUpstream) -> None:
    """Only where the gateway has to hold it."""

    async def endless(seen: Seen) -> Reply:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        await response.write(b"data: ")
        while True:
            await response.write(b"x" * 1024 * 1024)

    upstream.behaviours["tools/list"] = endless
    async with asyncio.timeout(20):
        answer = await patient.request("tools/list")

    assert answer.reason == "upstream_unavailable"
    assert str(64 * 1024 * 1024) in answer.message["error"]["message"]


@pytest.mark.parametrize("body", [*_BROKEN, b'{"jsonrpc":"2.0","id":"other","result":"\xff"}'])
async def test_broken_messages_pass_as_they_came_where_nothing_is_added(
    client: Client, upstream: ScriptedUpstream, body: bytes
) -> None:
    """Messages that only the client can judge: invalid UTF-8, foreign ids, no object, nothing."""

    async def broken(seen: Seen) -> Reply:
        return web.Response(body=body, content_type="application/json")

    upstream.behaviours["tools/call"] = broken
    answer = await client.request(*CALL)

    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize("body", [*_BROKEN, b'{"jsonrpc":"2.0","id":1,"result":[]}'])
@pytest.mark.parametrize("as_stream", [False, True], ids=["body", "stream"])
async def test_broken_lists_are_errors_where_something_is_added(
    patient: Client, upstream: ScriptedUpstream, body: bytes, as_stream: bool
) -> None:
    async def broken(seen: Seen) -> Reply:
        if as_stream:
            return await stream(seen, b"data: " + body.replace(b'"id":1', b'"id":%d' % seen.message["id"]) + b"\n\n")
        return web.Response(body=body, content_type="application/json")

    upstream.behaviours["tools/list"] = broken
    async with asyncio.timeout(_AT_ONCE_S):
        answer = await patient.request("tools/list")

    if as_stream and not body.startswith(b'{"jsonrpc"'):   # no answer to anything: it passes, and the stream ends
        assert answer.body == b"data: " + body + b"\n\n"
    else:
        assert (answer.message["id"], answer.reason) == (patient.last_id, "upstream_unavailable")


async def test_standing_streams_that_are_none_are_refused(client: Client, upstream: ScriptedUpstream) -> None:
    for status in (200, 204, 302, 500):
        async def page(request: web.Request, status: int = status) -> web.StreamResponse:
            return web.Response(status=status, text="" if status == 204 else "<html>", content_type="text/html")

        upstream.on_get = page
        headers = client.headers({"Accept": "text/event-stream"})
        async with client.http.get(client.base + client.mount, headers=headers) as answer:
            assert answer.status == 502
            assert (await answer.json())["error"]["data"]["reason"] == "upstream_unavailable"
