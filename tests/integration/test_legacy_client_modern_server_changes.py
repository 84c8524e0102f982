"""Sessions in front of a server of the modern revision alone: their streams and subscriptions, by one listener."""

import asyncio
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest

from tests.fixtures.change_streams import SUBSCRIPTION, TOLD, WITHIN_S, Changing, Stream, without_sessions
from tests.fixtures.gateway import Backing, Client, connected, entry, gateway
from tests.fixtures.upstreams import ScriptedUpstream

_LISTS = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


@pytest.fixture
def changing(upstream: ScriptedUpstream) -> Changing:
    return without_sessions(upstream)


def _stands(client: Client, base: str = "") -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    headers = {**client.headers(), "Accept": "text/event-stream"}
    return client.http.get((base or client.base) + client.mount, headers=headers)


async def test_a_sessions_stream_tells_what_the_server_tells(shared_backing: Backing, changing: Changing) -> None:
    """As the legacy revisions has it, whichever gateway a subscription reaches."""
    config = shared_backing.config(entry(changing.upstream.url))
    async with connected(config, initialize=False) as client, gateway(config) as second:
        opened = await client.initialize()
        async with _stands(client) as response:
            await changing.until(1)
            client.base, first = second, client.base
            subscribed = await client.result("resources/subscribe", {"uri": "sea://chart"})
            await changing.until(1)
            await changing.say("resources/updated", uri="sea://chart", _meta={SUBSCRIPTION: 1})
            await changing.say("tools/list_changed")
            told = [await Stream(response).message() for _ in range(2)]
            client.base = first
            await client.result("resources/unsubscribe", {"uri": "sea://chart"})
        await changing.until(0)

    assert {name: opened["capabilities"][name] for name in TOLD} == TOLD
    assert subscribed == {}
    assert told == [
        {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "sea://chart"}},
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
    ]
    assert changing.filters == [_LISTS, _LISTS | {"resourceSubscriptions": ["sea://chart"]}, _LISTS]


async def test_a_subscription_from_before_the_stream_is_part_of_it(
    shared_backing: Backing, changing: Changing
) -> None:
    """It is kept with the session; nothing is listened for while nobody would hear it."""
    config = shared_backing.config(entry(changing.upstream.url))
    async with connected(config) as client, gateway(config) as second:
        await client.result("resources/subscribe", {"uri": "sea://chart"})
        before = changing.opened
        async with _stands(client, second) as response:
            await changing.until(1)
            await changing.say("resources/updated", uri="sea://chart")
            told = await Stream(response).methods(1)

    assert before == 0
    assert told == ["resources/updated"]
    assert changing.filters == [_LISTS | {"resourceSubscriptions": ["sea://chart"]}]


async def test_lists_that_a_gateway_keeps_are_forgotten_when_they_change(
    shared_backing: Backing, changing: Changing
) -> None:
    """At every gateway, before the client hears of it."""
    config = shared_backing.config(
        entry(changing.upstream.url), core={"upstream_metadata_cache_ttl_seconds": 600}
    )
    async with connected(config) as client, gateway(config) as second, _stands(client) as response:
        await changing.until(1)
        bases = (client.base, second)
        for client.base in bases * 2:
            await client.result("tools/list")
        asked = len(changing.upstream.calls("tools/list"))
        changing.upstream.tools = []
        await changing.say("tools/list_changed")
        await Stream(response).methods(1)
        after = []
        for client.base in bases:
            after.append((await client.result("tools/list"))["tools"])

    probes = 2
    assert asked == probes + len(bases)
    assert after == [[], []]


async def test_a_server_that_tells_of_nothing_has_no_stream(
    shared_backing: Backing, changing: Changing
) -> None:
    for capability in TOLD:
        changing.capabilities[capability] = {}
    async with connected(shared_backing.config(entry(changing.upstream.url))) as client, _stands(client) as response:
        status = response.status
        refused = await client.request("resources/subscribe", {"uri": "sea://chart"})

    assert status == 405
    assert (refused.status, refused.message["error"]["code"]) == (200, -32601)


async def test_what_is_no_resource_is_refused(shared_backing: Backing, changing: Changing) -> None:
    async with connected(shared_backing.config(entry(changing.upstream.url))) as client:
        answers = [await client.request("resources/subscribe", params) for params in ({}, {"uri": 1}, {"uri": ""})]

    assert [answer.message["error"]["code"] for answer in answers] == [-32602] * 3


async def test_a_session_that_is_ended_has_no_stream_any_more(shared_backing: Backing, changing: Changing) -> None:
    """At whichever gateway it stands, and through whichever it is ended."""
    config = shared_backing.config(entry(changing.upstream.url))
    async with connected(config) as client, gateway(config) as second, _stands(client, second) as response:
        await changing.until(1)
        await client.delete()
        async with asyncio.timeout(WITHIN_S):
            rest = await response.read()
        await changing.until(0)

    assert b"data:" not in rest
