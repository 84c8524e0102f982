"""Change notifications of a modern-only server to legacy clients: their GET streams and `resources/subscribe`."""

import asyncio
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest

from tests.fixtures.change_streams import (
    CHANGE_CAPABILITIES,
    SUBSCRIPTION,
    WITHIN_S,
    Changing,
    Stream,
    without_sessions,
)
from tests.fixtures.gateway import Backing, Client, connected, entry, gateway
from tests.fixtures.upstreams import ScriptedUpstream

_LISTS = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


@pytest.fixture
def changing(upstream: ScriptedUpstream) -> Changing:
    return without_sessions(upstream)


def _standing_stream(client: Client, base: str = "") -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    headers = {**client.headers(), "Accept": "text/event-stream"}
    return client.http.get((base or client.base) + client.mount, headers=headers)


async def test_a_session_stream_gets_the_changes_of_the_server(shared_backing: Backing, changing: Changing) -> None:
    """Notifications are legacy ones, whichever gateway a subscription reaches."""
    config = shared_backing.config(entry(changing.upstream.url))
    async with connected(config, initialize=False) as client, gateway(config) as second:
        opened = await client.initialize()
        async with _standing_stream(client) as response:
            await changing.until(1)
            client.base, first = second, client.base
            subscribed = await client.result("resources/subscribe", {"uri": "sea://chart"})
            await changing.until(1)
            await changing.notify("resources/updated", uri="sea://chart", _meta={SUBSCRIPTION: 1})
            await changing.notify("tools/list_changed")
            received = [await Stream(response).message() for _ in range(2)]
            client.base = first
            await client.result("resources/unsubscribe", {"uri": "sea://chart"})
        await changing.until(0)

    assert {name: opened["capabilities"][name] for name in CHANGE_CAPABILITIES} == CHANGE_CAPABILITIES
    assert subscribed == {}
    assert received == [
        {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "sea://chart"}},
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
    ]
    assert changing.filters == [_LISTS, _LISTS | {"resourceSubscriptions": ["sea://chart"]}, _LISTS]


async def test_a_subscription_made_before_the_stream_is_applied_to_it(
    shared_backing: Backing, changing: Changing
) -> None:
    """It is stored with the session; the upstream's stream is opened with the client's."""
    config = shared_backing.config(entry(changing.upstream.url))
    async with connected(config) as client, gateway(config) as second:
        await client.result("resources/subscribe", {"uri": "sea://chart"})
        before = changing.opened
        async with _standing_stream(client, second) as response:
            await changing.until(1)
            await changing.notify("resources/updated", uri="sea://chart")
            received = await Stream(response).methods(1)

    assert before == 0
    assert received == ["resources/updated"]
    assert changing.filters == [_LISTS | {"resourceSubscriptions": ["sea://chart"]}]


async def test_cached_lists_are_dropped_when_they_change(
    shared_backing: Backing, changing: Changing
) -> None:
    """They are dropped at every gateway, before the client is notified."""
    config = shared_backing.config(
        entry(changing.upstream.url), core={"upstream_metadata_cache_ttl_seconds": 600}
    )
    async with connected(config) as client, gateway(config) as second, _standing_stream(client) as response:
        await changing.until(1)
        bases = (client.base, second)
        for client.base in bases * 2:
            await client.result("tools/list")
        requests = len(changing.upstream.calls("tools/list"))
        changing.upstream.tools = []
        await changing.notify("tools/list_changed")
        await Stream(response).methods(1)
        after = []
        for client.base in bases:
            after.append((await client.result("tools/list"))["tools"])

    probes = 2
    assert requests == probes + len(bases)
    assert after == [[], []]


async def test_a_server_without_change_notifications_has_no_stream(
    shared_backing: Backing, changing: Changing
) -> None:
    for capability in CHANGE_CAPABILITIES:
        changing.capabilities[capability] = {}
    config = shared_backing.config(entry(changing.upstream.url))
    async with connected(config) as client, _standing_stream(client) as response:
        status = response.status
        refused = await client.request("resources/subscribe", {"uri": "sea://chart"})

    assert status == 405
    assert (refused.status, refused.message["error"]["code"]) == (200, -32601)


async def test_a_subscription_without_a_uri_is_refused(shared_backing: Backing, changing: Changing) -> None:
    async with connected(shared_backing.config(entry(changing.upstream.url))) as client:
        answers = [await client.request("resources/subscribe", params) for params in ({}, {"uri": 1}, {"uri": ""})]

    assert [answer.message["error"]["code"] for answer in answers] == [-32602] * 3


async def test_the_end_of_a_session_closes_its_stream(shared_backing: Backing, changing: Changing) -> None:
    """The stream is at one gateway, the session is ended at another."""
    config = shared_backing.config(entry(changing.upstream.url))
    async with connected(config) as client, gateway(config) as second, _standing_stream(client, second) as response:
        await changing.until(1)
        await client.delete()
        async with asyncio.timeout(WITHIN_S):
            rest = await response.read()
        await changing.until(0)

    assert b"data:" not in rest
