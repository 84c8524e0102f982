"""Lists that are kept: asked for once, and never shown when they may have changed."""

import asyncio

import pytest
from aiohttp import web

from tests.fixtures.gateway import Backing, Client, connected, entry, gateway
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, stream


def _counted(upstream: ScriptedUpstream) -> list[int]:
    """Have the upstream list one more tool each time it is asked."""
    asked: list[int] = []

    async def behave(seen: Seen) -> Reply:
        asked.append(len(asked) + 1)
        await asyncio.sleep(0.05)
        tools = [{"name": f"tool{n}", "inputSchema": {"type": "object"}} for n in asked]
        return result(seen, {"tools": tools, "_meta": {"asked": len(asked)}})

    upstream.behaviours["tools/list"] = behave
    return asked


async def _asked(client: Client) -> int:
    shown: int = (await client.result("tools/list"))["_meta"]["asked"]
    return shown


async def test_a_list_is_fetched_once_however_many_ask(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        asked = _counted(upstream)

        shown = await asyncio.gather(*(_asked(client) for _ in range(10)))
        again = await client.request("tools/list")

    assert asked == [1]
    assert shown == [1] * 10
    assert again.message["id"] == 12


async def test_a_call_makes_the_list_stale(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """On every gateway: the call went to one, the list is asked of the other."""
    config = shared_backing.config(entry(upstream.url))
    async with connected(config) as client, gateway(config) as second:
        _counted(upstream)
        other = Client(client.http, second, client.mount, client.session_id)
        assert [await _asked(client), await _asked(other), await _asked(client)] == [1, 2, 1]

        await client.call("echo")

        assert [await _asked(other), await _asked(client)] == [3, 4]


async def test_a_notification_makes_the_list_stale(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    changed = asyncio.Event()

    async def standing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": open\n\n")
        await changed.wait()
        await response.write(b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n')
        return response

    upstream.on_get = standing
    config = shared_backing.config(entry(upstream.url))
    async with connected(config) as client, gateway(config) as second:
        _counted(upstream)
        other = Client(client.http, second, client.mount, client.session_id)
        assert await _asked(client) == 1
        headers = client.headers({"Accept": "text/event-stream"})
        async with client.http.get(other.base + client.mount, headers=headers) as heard, asyncio.timeout(20):
            changed.set()
            await heard.read()
            while await _asked(client) == 1:
                await asyncio.sleep(0.01)

        assert await _asked(client) == 2


@pytest.mark.requirement("tools.list")
async def test_sessions_do_not_share_what_they_list(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        _counted(upstream)
        assert await _asked(client) == 1
        await client.initialize()
        assert await _asked(client) == 2


async def test_an_error_is_not_kept_and_a_failure_leaves_nobody_waiting(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def refuse(seen: Seen) -> Reply:
        await asyncio.sleep(0.05)
        return {"jsonrpc": "2.0", "id": seen.message["id"], "error": {"code": -32000, "message": "not now"}}

    async with connected(shared_backing.config(entry(upstream.url))) as client:
        upstream.behaviours["tools/list"] = refuse
        refused = await asyncio.gather(*(client.request("tools/list") for _ in range(3)))
        _counted(upstream)
        assert await _asked(client) == 1

    assert all(answer.message["error"]["code"] == -32000 for answer in refused)


async def test_a_list_that_comes_as_a_stream_is_kept_too(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def streams(seen: Seen) -> Reply:
        answer = b'{"jsonrpc":"2.0","id":%d,"result":{"prompts":[{"name":"p"}]}}' % seen.message["id"]
        return await stream(seen, b"id: 4\ndata: " + answer + b"\n\n")

    upstream.behaviours["prompts/list"] = streams
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        first = await client.request("prompts/list")
        second = await client.request("prompts/list")

    assert first.message["result"] == second.message["result"] == {"prompts": [{"name": "p"}]}
    assert second.message["id"] == first.message["id"] + 1
    assert len(upstream.calls("prompts/list")) == 1


async def test_nothing_is_kept_where_that_is_off(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url), core={"upstream_metadata_cache_ttl_seconds": 0})
    async with connected(config) as client:
        _counted(upstream)
        assert [await _asked(client), await _asked(client)] == [1, 2]
