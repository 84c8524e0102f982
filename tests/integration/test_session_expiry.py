"""Expiry, revival and end of sessions, and renewal of lost upstream sessions, as clients see them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.fixtures.gateway import INIT, Backing, Client, backing, connected, consumer, entry, gateway
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, stream


@asynccontextmanager
async def _client(
    folder: Any, upstream: ScriptedUpstream, *, cleanup_s: int = 1, **sessions: Any
) -> AsyncIterator[tuple[Client, Backing]]:
    """Connect a client to a gateway and a worker that clean up every second, with these `sessions` settings."""
    sections = {"sessions": sessions, "core": {"cleanup_interval_seconds": cleanup_s}, "uploads": {"ttl_seconds": 60}}
    with backing(folder, **sections) as made:
        config = made.config(entry(upstream.url, consumer("read")), **sections)
        async with connected(config) as client:
            yield client, made


async def _until(happened: Callable[[], object], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not happened():
            await asyncio.sleep(0.02)


async def test_an_expired_session_is_revived_with_its_files(tmp_path: Any, upstream: ScriptedUpstream) -> None:
    """Its upstream session has ended; a new one is opened with the client's own parameters."""
    async with _client(tmp_path, upstream, idle_ttl_seconds=1) as (client, made):
        handle = await client.upload_one("a.txt", b"kept")
        first = upstream.last("tools/list").request.headers["Mcp-Session-Id"]
        await _until(lambda: first in upstream.deleted)

        returned = await client.call("read", {"path": handle})

        last = upstream.last("tools/call").request.headers["Mcp-Session-Id"]
        assert returned["content"][0]["text"] == "done"
        assert upstream.last("tools/call").params["arguments"]["path"].startswith(str(made.root))
        assert last != first
        assert upstream.last("initialize").params == INIT
        assert upstream.last("notifications/initialized").request.headers["Mcp-Session-Id"] == last


async def test_without_revival_an_idle_session_ends_with_its_files(
    tmp_path: Any, upstream: ScriptedUpstream
) -> None:
    async with _client(tmp_path, upstream, idle_ttl_seconds=1, allow_revival=False) as (client, made):
        await client.upload_one("a.txt", b"gone")
        await _until(lambda: not made.stored())

        answer = await client.request("tools/list")

    assert (answer.status, answer.reason) == (404, "session_not_found")
    assert "idle" in answer.message["error"]["message"]


@pytest.mark.requirement("legacy.session-ended")
async def test_a_tombstone_expires(tmp_path: Any, upstream: ScriptedUpstream) -> None:
    async with _client(tmp_path, upstream, idle_ttl_seconds=1, tombstone_ttl_seconds=1) as (client, made):
        await client.upload_one("a.txt", b"gone")
        await _until(lambda: not made.stored())

        assert (await client.request("tools/list")).status == 404


async def test_a_running_call_and_an_open_stream_keep_a_session_alive(
    tmp_path: Any, upstream: ScriptedUpstream
) -> None:
    call_ends, stream_ends = asyncio.Event(), asyncio.Event()

    async def slow(seen: Seen) -> Reply:
        await call_ends.wait()
        return result(seen, {"content": [{"type": "text", "text": "late"}]})

    async def standing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": open\n\n")
        await stream_ends.wait()
        return response

    upstream.on_get = standing
    upstream.behaviours["tools/call"] = slow
    async with _client(tmp_path, upstream, idle_ttl_seconds=1) as (client, _):
        call = asyncio.gather(client.call("echo"))
        own = (await upstream.until("tools/call")).request.headers["Mcp-Session-Id"]
        await _another_expires(client, upstream)
        assert own not in upstream.deleted
        headers = client.headers({"Accept": "text/event-stream"})
        async with client.http.get(client.base + client.mount, headers=headers) as stream:
            await stream.content.readuntil(b"\n\n")
            call_ends.set()
            assert (await call)[0]["content"][0]["text"] == "late"
            await _another_expires(client, upstream)
            assert own not in upstream.deleted
            stream_ends.set()


async def _another_expires(client: Client, upstream: ScriptedUpstream) -> None:
    """Wait until a session that starts now has expired, as one that is as old and idle too would have."""
    other = Client(client.http, client.base, client.mount)
    await other.initialize()
    theirs = f"upstream-{upstream.opened}"
    await _until(lambda: theirs in upstream.deleted)


async def test_more_sessions_than_allowed_are_429(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    own_keys = shared_backing.own_keys("most")
    config = shared_backing.config(entry(upstream.url), state_persistence=own_keys, sessions={"max_active": 2})
    async with connected(config) as client:
        await client.initialize()
        refused = await client.request("initialize", INIT)
        assert (refused.status, refused.reason) == (429, "too_many")
        assert "Mcp-Session-Id" not in refused.headers

        assert await client.delete() == 204
        await client.initialize()


async def test_more_calls_than_allowed_are_429_and_others_are_never_refused(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    go_on = asyncio.Event()

    async def slow(seen: Seen) -> Reply:
        await go_on.wait()
        return result(seen, {"content": []})

    upstream.behaviours["tools/call"] = slow
    config = shared_backing.config(entry(upstream.url), sessions={"max_in_flight_per_session": 2})
    async with connected(config) as client:
        calls = asyncio.gather(*(client.call("echo") for _ in range(2)))
        await _until(lambda: len(upstream.calls("tools/call")) == 2)

        refused = await client.request("tools/call", {"name": "echo"})
        pinged = await client.request("ping")
        notified = await client.post({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
        answered = await client.post({"jsonrpc": "2.0", "id": "x", "result": {}})
        go_on.set()
        await calls
        later = await client.request("tools/call", {"name": "echo"})

    assert (refused.status, refused.reason, refused.headers["Retry-After"]) == (429, "too_many", "1")
    assert [answer.status for answer in (pinged, notified, answered, later)] == [200, 202, 202, 200]


async def test_a_lost_upstream_session_is_renewed_by_one_gateway(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Twenty calls over two gateways find it lost at once: one handshake, and one response to each call."""
    alive: set[str] = set()

    async def remember(seen: Seen) -> Reply:
        alive.add(f"upstream-{upstream.opened + 1}")
        return result(seen, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {}})

    async def only_alive(seen: Seen) -> Reply:
        if seen.request.headers["Mcp-Session-Id"] not in alive:
            return web.json_response({"error": "no such session"}, status=404)
        await asyncio.sleep(0.01)
        return result(seen, {"content": [{"type": "text", "text": str(seen.message["id"])}]})

    config = shared_backing.config(entry(upstream.url))
    async with connected(config, initialize=False) as client, gateway(config) as second:
        upstream.behaviours |= {"initialize": remember, "tools/call": only_alive}
        await client.initialize()
        handshakes = len(upstream.calls("initialize"))
        alive.clear()
        other = Client(client.http, second, client.mount, client.session_id, last_id=1000)

        returned = await asyncio.gather(*(member.call("echo") for _ in range(10) for member in (client, other)))

    assert len(upstream.calls("initialize")) == handshakes + 1
    assert len({answer["content"][0]["text"] for answer in returned}) == 20
    assert upstream.last("initialize").params == INIT


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_loss_is_retried_as_often_as_configured(
    shared_backing: Backing, upstream: ScriptedUpstream, retries: int
) -> None:
    async def never(_: Seen) -> Reply:
        return web.json_response({"error": "no such session"}, status=404)

    config = shared_backing.config(
        entry(upstream.url), sessions={"upstream_session_termination_retries": retries}
    )
    async with connected(config) as client:
        upstream.behaviours["tools/call"] = never
        answer = await client.request("tools/call", {"name": "echo"})

    assert answer.status == 404
    assert len(upstream.calls("tools/call")) == retries + 1


async def test_a_failed_call_is_never_repeated(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def fails(seen: Seen) -> Reply:
        assert seen.request.transport is not None
        seen.request.transport.abort()
        return None

    upstream.behaviours["tools/call"] = fails
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await client.request("tools/call", {"name": "echo"})

    assert answer.reason == "upstream_unavailable"
    assert len(upstream.calls("tools/call")) == 1


async def test_a_failed_call_is_not_retried_because_of_its_text(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    words = "the SMTP session closed before the receipt was sent"
    returned = {"content": [{"type": "text", "text": words}], "isError": True}

    async def fails(seen: Seen) -> Reply:
        return result(seen, returned)

    upstream.behaviours["tools/call"] = fails
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        handshakes = len(upstream.calls("initialize"))
        assert await client.call("echo") == returned

    assert len(upstream.calls("tools/call")) == 1
    assert len(upstream.calls("initialize")) == handshakes


@pytest.mark.parametrize("body", ["Bad Request: No valid session ID provided", '{"error": "Unknown session"}'])
async def test_a_server_that_refuses_an_unknown_session_with_400_gets_a_new_one(
    shared_backing: Backing, upstream: ScriptedUpstream, body: str
) -> None:
    """The official server-everything does so after a restart."""
    sessions: list[str] = []

    async def restarted(seen: Seen) -> Reply:
        sessions.append(seen.request.headers["Mcp-Session-Id"])
        if sessions[-1] == sessions[0]:
            return web.Response(status=400, text=body)
        return result(seen, {"content": []})

    async with connected(shared_backing.config(entry(upstream.url))) as client:
        upstream.behaviours["tools/call"] = restarted
        assert await client.call("echo") == {"content": []}

    assert len(sessions) == len(set(sessions)) == 2


async def test_a_400_for_another_reason_is_relayed(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def refuses(_: Seen) -> Reply:
        return web.json_response({"error": "the argument is too long"}, status=400)

    async with connected(shared_backing.config(entry(upstream.url))) as client:
        upstream.behaviours["tools/call"] = refuses
        assert (await client.request("tools/call", {"name": "echo"})).status == 400

    assert len(upstream.calls("tools/call")) == 1


@pytest.mark.parametrize("status", [400, 404, 501])
async def test_a_refused_get_does_not_renew_the_session_of_a_server_without_standing_stream(
    shared_backing: Backing, upstream: ScriptedUpstream, status: int
) -> None:
    async def refuses(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text="Cannot GET /mcp")

    upstream.on_get = refuses
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        handshakes = len(upstream.calls("initialize"))
        async with client.http.get(client.base + client.mount, headers=client.headers()) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "DELETE, POST")
        await client.call("echo")

    assert len(upstream.calls("initialize")) == handshakes


async def test_a_get_refused_for_its_session_renews_the_session(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    sessions: list[str] = []

    async def once(request: web.Request) -> web.StreamResponse:
        sessions.append(request.headers["Mcp-Session-Id"])
        if sessions[-1] == sessions[0]:
            return web.json_response({"error": {"code": -32001, "message": "Session not found"}}, status=404)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": here\n\n")
        return response

    upstream.on_get = once
    async with (
        connected(shared_backing.config(entry(upstream.url))) as client,
        client.http.get(client.base + client.mount, headers=client.headers()) as answer,
    ):
        assert await answer.read() == b": here\n\n"

    assert len(sessions) == len(set(sessions)) == 2


@pytest.mark.parametrize("streams", [False, True])
async def test_a_tool_error_about_a_lost_session_is_retried_where_configured(
    shared_backing: Backing, upstream: ScriptedUpstream, streams: bool
) -> None:
    lost: list[str] = []

    async def once(seen: Seen) -> Reply:
        session = seen.request.headers["Mcp-Session-Id"]
        lost.append(session) if not lost else None
        text, failed = ("Session terminated", True) if session == lost[0] else ("done", False)
        answer = result(seen, {"content": [{"type": "text", "text": text}], "isError": failed})
        return await stream(seen, b"data: " + msgspec.json.encode(answer) + b"\n\n") if streams else answer

    upstream.behaviours["tools/call"] = once
    server = entry(upstream.url)
    server["upstream"]["lost_session_tool_errors"] = True
    async with connected(shared_backing.config(server)) as client:
        returned = await client.call("echo")
        async with asyncio.timeout(20):
            while lost[0] not in upstream.deleted:
                await asyncio.sleep(0.01)

    assert returned == {"content": [{"type": "text", "text": "done"}], "isError": False}
    assert len(upstream.calls("tools/call")) == 2


async def test_the_stream_of_a_slow_tool_is_not_delayed(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """The check for a lost session does not wait for the result."""
    go_on = asyncio.Event()

    async def slow(seen: Seen) -> Reply:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        await response.write(b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n')
        await go_on.wait()
        return response

    upstream.behaviours["tools/call"] = slow
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        message = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "echo"}}
        async with (
            asyncio.timeout(20),
            client.http.post(client.base + client.mount, json=message, headers=client.headers()) as answer,
        ):
            assert b"progress" in await answer.content.readuntil(b"\n\n")
            go_on.set()
