"""Sessions on the MCP mount: minted, bound, continued, ended."""

import asyncio

import aiohttp
import pytest

from tests.fixtures.gateway import INIT, Backing, Client, connected, consumer, entry, gateway
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result


async def test_the_client_never_sees_the_upstreams_session_id(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        await client.call("echo")

        assert "upstream" not in client.session_id
        assert upstream.last("tools/call").request.headers["Mcp-Session-Id"].startswith("upstream-")


async def test_the_clients_own_initialize_parameters_reach_the_upstream(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        shown = await client.initialize()

    assert upstream.last("initialize").params == INIT
    assert shown["serverInfo"] == {"name": "scripted", "version": "7"}


async def test_a_second_gateway_continues_the_session(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url))
    async with connected(config) as client, gateway(config) as other:
        first = await client.call("echo")
        client.base = other
        second = await client.call("echo")

        assert first == second
        ids = {seen.request.headers["Mcp-Session-Id"] for seen in upstream.calls("tools/call")}
        assert len(ids) == 1


@pytest.mark.requirement("legacy.session-ended")
async def test_a_request_that_names_two_sessions_is_refused(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        url, body = client.base + client.mount, {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        twice = [*client.headers().items(), ("Mcp-Session-Id", "x" * 22)]
        for method in ("POST", "GET", "DELETE"):
            async with client.http.request(method, url, json=body, headers=twice) as answer:
                assert (answer.status, b"Mcp-Session-Id" in await answer.read()) == (400, True), method
        await client.call("echo")


async def test_an_unknown_session_is_404_with_a_reason(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        for session_id in ("A" * 32, "short", "with space", "x" * 5000):
            client.session_id = session_id
            answer = await client.request("tools/list")

            assert (answer.status, answer.reason) == (404, "session_not_found")
            assert answer.message["id"] is not None


async def test_a_request_without_session_is_told_to_initialize(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    own_keys = {"type": "redis", "redis": {"url": shared_backing.redis_url, "key_base": "nobody-initialised"}}
    config = shared_backing.config(entry(upstream.url), state_persistence=own_keys)
    async with connected(config, initialize=False) as client:
        answer = await client.request("tools/list")

    assert answer.status == 400
    assert "initialize" in answer.message["error"]["message"]


async def test_a_refused_initialize_opens_no_session(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def refuse(seen: Seen) -> Reply:
        error = {"code": -32602, "message": "unsupported protocol version"}
        return {"jsonrpc": "2.0", "id": seen.message["id"], "error": error}

    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        upstream.behaviours["initialize"] = refuse
        answer = await client.request("initialize", INIT)

        assert answer.message["error"]["code"] == -32602
        assert "Mcp-Session-Id" not in answer.headers


@pytest.mark.requirement("legacy.session-ended")
async def test_delete_ends_the_session_its_files_and_the_upstreams_session(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        link = await client.upload_url()
        await client.upload_one("a.txt", b"hello")
        assert fresh_backing.stored() != []
        upstream.deleted.clear()

        assert await client.delete() == 204

        gone = await client.request("tools/list")
        assert (gone.status, gone.reason) == (404, "session_not_found")
        assert "ended" in gone.message["error"]["message"]
        late = await client.upload(link, ("b.txt", b"late"))
        assert (late.status, late.reason) == (403, "forbidden")
        assert await client.delete() == 404
        await _until_empty(fresh_backing)
        assert upstream.deleted == [upstream.last("notifications/initialized").request.headers["Mcp-Session-Id"]]


async def test_another_callers_session_is_409(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """With auth off the address is the caller; the proxy on loopback is trusted to name it."""
    config = shared_backing.config(entry(upstream.url), core={"trusted_proxies": ["127.0.0.0/8"]})
    async with connected(config, initialize=False) as client:
        await client.initialize({"X-Forwarded-For": "192.0.2.7"})

        answer = await client.request("tools/list", None, {"X-Forwarded-For": "192.0.2.8"})
        assert (answer.status, answer.reason) == (409, "session_conflict")

        assert (await client.request("tools/list", None, {"X-Forwarded-For": "192.0.2.7"})).status == 200


async def test_forwarded_addresses_of_strangers_do_not_count(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        await client.initialize({"X-Forwarded-For": "192.0.2.7"})

        assert (await client.request("tools/list", None, {"X-Forwarded-For": "192.0.2.8"})).status == 200


async def test_a_server_that_wants_a_callers_header_waits_for_the_first_one(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    needs = {"client_headers": {"required": ["X-Team"]}}
    config = shared_backing.config(entry(upstream.url, consumer("read"), upstream=needs))
    async with gateway(config) as base, aiohttp.ClientSession() as http:
        client = Client(http, base, "/mcp/files")
        assert upstream.calls("initialize") == []

        answer = await client.request("initialize", INIT)
        assert answer.status == 400
        assert "X-Team" in answer.message["error"]["message"]

        await client.initialize({"X-Team": "blue"})
        assert upstream.last("initialize").request.headers["X-Team"] == "blue"
        await upstream.until("tools/list")


async def test_a_server_with_slash_answers_like_one_without(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        client.mount += "/"
        assert (await client.call("echo"))["content"] == [{"type": "text", "text": "done"}]


async def test_the_upstreams_message_ids_are_the_clients(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def echo(seen: Seen) -> Reply:
        return result(seen, {"id": seen.message["id"]})

    upstream.behaviours["vendor/anything"] = echo
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        for message_id in (0, -3, 2**53, "", "a b", "ü"):
            answer = await client.post({"jsonrpc": "2.0", "id": message_id, "method": "vendor/anything"})
            assert answer.message == {"jsonrpc": "2.0", "id": message_id, "result": {"id": message_id}}


async def _until_empty(backing: Backing) -> None:
    async with asyncio.timeout(20):
        while backing.stored():
            await asyncio.sleep(0.02)
