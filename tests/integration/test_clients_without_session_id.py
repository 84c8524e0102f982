"""Clients that never return the session id: their principal is their scope."""

import asyncio

from aiohttp import web

from tests.fixtures.gateway import INIT, Backing, Client, connected, consumer, entry, gateway, producer
from tests.fixtures.upstreams import ScriptedUpstream, writes

_AUTH = {"auth": {"enabled": True, "token": "a-token-of-the-tests"}}
_HEADER = {"X-Mcp-Adapter-Auth-Token": "a-token-of-the-tests"}


async def _initialize(client: Client) -> None:
    """Send `initialize` and ignore the headers of the response."""
    assert (await client.request("initialize", INIT, _HEADER)).status == 200
    assert (await client.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, _HEADER)).status == 202


async def test_calls_without_session_id_share_one_upstream_session(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(
        entry(upstream.url), core=_AUTH, state_persistence=shared_backing.own_keys("alone")
    )
    async with connected(config, initialize=False) as client, gateway(config) as second:
        opened = len(upstream.calls("initialize"))
        await _initialize(client)
        await client.request("tools/call", {"name": "echo"}, _HEADER)
        client.base = second
        answer = await client.request("tools/call", {"name": "echo"}, _HEADER)

        assert answer.message["result"]["content"][0]["text"] == "done"
        assert "Mcp-Session-Id" not in answer.headers
        used = {seen.request.headers["Mcp-Session-Id"] for seen in upstream.calls("tools/call")}
        told = upstream.last("notifications/initialized").request.headers["Mcp-Session-Id"]
        assert used == {told}
        assert len(upstream.calls("initialize")) == opened + 1


async def test_files_outlive_a_second_initialize(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = writes(b"kept")
    adapters = (consumer("read"), producer("write"))
    config = shared_backing.config(entry(upstream.url, *adapters), core=_AUTH)
    async with connected(config, initialize=False) as client:
        await _initialize(client)
        link = await client.request("tools/call", {"name": "files_get_upload_url"}, _HEADER)
        ticket = link.message["result"]["structuredContent"]
        uploaded = await client.upload(ticket["upload_url"], ("a.txt", b"a"))
        written = await client.request("tools/call", {"name": "write", "arguments": {"path": "b.txt"}}, _HEADER)
        uri = written.message["result"]["_meta"]["artifact"]["artifact_uri"]

        await _initialize(client)

        handle = uploaded.message["upload_handle"]
        used = await client.request("tools/call", {"name": "read", "arguments": {"path": handle}}, _HEADER)
        read = await client.request("resources/read", {"uri": uri}, _HEADER)

    assert ticket["headers"] == {}
    assert "isError" not in used.message["result"]
    assert read.message["result"]["contents"][0]["text"] == "kept"


async def test_a_client_with_a_session_keeps_it_beside_one_without(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(
        entry(upstream.url), core=_AUTH, state_persistence=shared_backing.own_keys("beside")
    )
    async with connected(config, initialize=False) as client:
        await client.initialize(_HEADER)
        await client.request("tools/call", {"name": "echo"}, _HEADER)
        mine = upstream.last("tools/call").request.headers["Mcp-Session-Id"]
        other = Client(client.http, client.base, client.mount)

        answer = await other.request("tools/call", {"name": "echo"}, _HEADER)

        assert answer.status == 200
        assert upstream.last("tools/call").request.headers["Mcp-Session-Id"] != mine
        assert (await client.request("tools/call", {"name": "echo"}, _HEADER)).status == 200


async def test_without_any_initialize_the_error_asks_for_one(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(
        entry(upstream.url), core=_AUTH, state_persistence=shared_backing.own_keys("nobody")
    )
    async with connected(config, initialize=False) as client:
        answer = await client.request("tools/list", None, _HEADER)
        deleted = await client.http.delete(client.base + client.mount, headers=_HEADER)

    assert (answer.status, answer.reason) == (400, "bad_request")
    assert "initialize" in answer.message["error"]["message"]
    assert deleted.status == 400


async def test_principals_never_share_a_scope(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """Without authentication the address is the principal."""
    config = shared_backing.config(entry(upstream.url, consumer("read")), core={"trusted_proxies": ["127.0.0.1"]})
    async with connected(config, initialize=False) as client:
        scopes = []
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
            sent = {"X-Forwarded-For": address}
            assert (await client.request("initialize", INIT, sent)).status == 200
            answer = await client.request("tools/call", {"name": "files_get_upload_url"}, sent)
            scopes.append(answer.message["result"]["structuredContent"]["session_id"])
        client.session_id = scopes[0]
        foreign = await client.request("tools/list", None, {"X-Forwarded-For": "192.0.2.2"})

    assert scopes[0] == scopes[2]
    assert scopes[0] != scopes[1]
    assert foreign.status == 409


async def test_the_standing_stream_works_without_session_id(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def standing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: {}\n\n")
        return response

    upstream.on_get = standing
    own_keys = shared_backing.own_keys("stream")
    config = shared_backing.config(entry(upstream.url), core=_AUTH, state_persistence=own_keys)
    async with connected(config, initialize=False) as client:
        await _initialize(client)
        headers = {"Accept": "text/event-stream", **_HEADER}
        async with client.http.get(client.base + client.mount, headers=headers) as stream, asyncio.timeout(20):
            assert await stream.read() == b"data: {}\n\n"
