"""Clients that misuse the protocol or the connection: each is answered or disconnected, and others are served."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from longshore.gateway.app import public_runner
from longshore.gateway.http.server.slow_readers import reset_stalled_connections
from longshore.shared.metrics import Metrics
from longshore.shared.tasks import Tasks
from tests.fixtures.gateway import Backing, Client, connected, entry
from tests.fixtures.leaks import holdings, left_behind
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result


@pytest.fixture
async def client(shared_backing: Backing, upstream: ScriptedUpstream) -> AsyncIterator[Client]:
    async with connected(shared_backing.config(entry(upstream.url))) as opened:
        yield opened


async def test_two_calls_with_one_id_have_an_answer_each(client: Client, upstream: ScriptedUpstream) -> None:
    """A client must not do that (MCP 2025-11-25 basic §Requests); neither call may take the other's answer."""
    both = asyncio.Barrier(2)

    async def say(seen: Seen) -> Reply:
        await both.wait()
        return result(seen, {"content": [{"type": "text", "text": seen.params["name"]}]})

    upstream.behaviours["tools/call"] = say
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(
            client.post({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": name}})
            for name in ("first", "second")
        ))

    assert [answer.message["result"]["content"][0]["text"] for answer in answers] == ["first", "second"]
    assert [answer.message["id"] for answer in answers] == [7, 7]


@pytest.mark.parametrize("message_id", [1.5, True, None, {}, [], [1]], ids=repr)
async def test_ids_of_other_types_are_refused(
    client: Client, upstream: ScriptedUpstream, message_id: object
) -> None:
    """An id is a string or an integer (MCP 2025-11-25 basic §Requests)."""
    sent = len(upstream.seen)
    messages: list[dict[str, object]] = [
        {"method": "tools/list"}, {"result": {}}, {"error": {"code": 1, "message": "no"}},
    ]
    for message in messages:
        answer = await client.post({"jsonrpc": "2.0", "id": message_id, **message})
        assert (answer.status, answer.reason) == (400, "bad_request")
        assert "id" in answer.message["error"]["message"]

    assert len(upstream.seen) == sent


async def test_responses_and_cancellations_without_a_request_are_forwarded(
    client: Client, upstream: ScriptedUpstream
) -> None:
    messages: list[dict[str, object]] = [
        {"id": "never-asked", "result": {}},
        {"id": 99, "error": {"code": -1, "message": "no"}},
        {"method": "notifications/cancelled", "params": {"requestId": "never-sent"}},
        {"method": "notifications/progress", "params": {"progressToken": 5, "progress": 1}},
    ]
    answers = [await client.post({"jsonrpc": "2.0", **message}) for message in messages]

    assert [(answer.status, answer.body) for answer in answers] == [(202, b"")] * 4
    assert [seen.message for seen in upstream.seen[-4:]] == [{"jsonrpc": "2.0", **message} for message in messages]


@asynccontextmanager
async def served(backing: Backing, upstream: ScriptedUpstream) -> AsyncIterator[tuple[web.AppRunner, int]]:
    """Gateway in this process, with its port."""
    runner = public_runner(backing.config(entry(upstream.url)), Metrics())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner, runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _request(session_id: str, message: dict[str, object], *, extra: str = "") -> bytes:
    body = msgspec.json.encode(message)
    head = (
        "POST /mcp/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nMcp-Session-Id: {session_id}\r\n{extra}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def test_sockets_closed_at_any_point_leave_nothing(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    """Half closed or reset, after each significant byte of a call, and before its answer."""

    async def slow(seen: Seen) -> Reply:
        await asyncio.sleep(0.05)
        return result(seen, {"content": []})

    upstream.behaviours["tools/call"] = slow
    async with connected(fresh_backing.config(entry(upstream.url))) as opened, served(fresh_backing, upstream) as made:
        runner, port = made
        call = _request(opened.session_id, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "e"}})
        before = holdings(runner.app, fresh_backing.redis_url)
        for end in (*range(1, len(call), 23), len(call) - 1, len(call)):
            for how in ("half", "reset"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(call[:end])
                await writer.drain()
                if how == "half":
                    writer.write_eof()
                    async with asyncio.timeout(20):
                        await reader.read()
                writer.transport.abort()
        left = await left_behind(runner.app, fresh_backing.redis_url, before)

    assert left == {}


async def test_heads_that_are_too_large_are_refused(client: Client) -> None:
    host, port = client.base.removeprefix("http://").split(":")
    for extra in (f"X-Padding: {'a' * 100_000}\r\n", "X-Padding: a\r\n" * 50_000):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(_request(client.session_id, {"jsonrpc": "2.0", "id": 1, "method": "ping"}, extra=extra))
        async with asyncio.timeout(20):
            status = await reader.readline()
        writer.close()
        assert b" 400 " in status or b" 431 " in status

    assert (await client.call("echo"))["content"][0]["text"] == "done"


async def test_a_client_that_reads_nothing_is_disconnected(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    """Its response is larger than the buffers of its machine. A client that reads a little now and then stays."""

    async def large(seen: Seen) -> Reply:
        return result(seen, {"content": [{"type": "text", "text": "x" * 8_000_000}]})

    upstream.behaviours["tools/call"] = large
    watching = Tasks()
    async with connected(fresh_backing.config(entry(upstream.url))) as opened, served(fresh_backing, upstream) as made:
        runner, port = made
        call = _request(opened.session_id, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "e"}})
        before = holdings(runner.app, fresh_backing.redis_url)
        watching.spawn(reset_stalled_connections(runner, timeout_s=0.6), name="let_go")
        stuck, slow = (_small_socket(port) for _ in range(2))
        for sock in (stuck, slow):
            sock.sendall(call)
        async with asyncio.timeout(10):
            while len(runner.server.connections if runner.server else []) == 2:
                await asyncio.to_thread(slow.recv, 30_000)
                await asyncio.sleep(0.02)
        taken = await asyncio.to_thread(slow.recv, 30_000)
        for sock in (stuck, slow):
            sock.close()
        await watching.close()
        left = await left_behind(runner.app, fresh_backing.redis_url, before)

    assert taken != b""
    assert left == {}


def _small_socket(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.connect(("127.0.0.1", port))
    return sock
