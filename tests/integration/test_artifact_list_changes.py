"""Notifications of longshore's own resources (artifacts) to subscribers, whatever their upstream notifies of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from longshore.shared.keys import Keys
from longshore.shared.messaging.pubsub import RESOURCES, Event, Publisher
from longshore.shared.redis.address import parse_redis_url
from longshore.shared.redis.connection import RedisLink
from longshore.shared.tasks import Tasks
from tests.fixtures.change_streams import (
    PREFIX,
    SUBSCRIPTION,
    WITHIN_S,
    Changing,
    Stream,
    listening,
    with_sessions,
    without_sessions,
)
from tests.fixtures.gateway import Backing, connected, entry, gateway, producer
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import ScriptedUpstream

_RESOURCES = "notifications/resources/list_changed"


@asynccontextmanager
async def _publishing(backing: Backing, key_base: str) -> AsyncIterator[None]:
    """Publish again and again, for every scope, that its resources changed, while the block runs."""
    tasks = Tasks()
    link = RedisLink(parse_redis_url(backing.redis_url), tasks)
    publisher = Publisher(link, Keys(key_base))

    async def publish() -> None:
        while True:
            channels = await link.call("PUBSUB", "CHANNELS", f"{key_base}:news:*")
            for channel in channels:
                await publisher.publish(Event(RESOURCES, channel.decode().rpartition(":")[2]))
            await asyncio.sleep(0.05)

    tasks.spawn(publish(), name="publish")
    try:
        yield
    finally:
        await tasks.close()
        await link.close()


@pytest.mark.parametrize("kind", ["of its own", "of none", "that has no such method", "with sessions"])
async def test_a_subscriber_gets_changes_of_artifacts_whatever_its_server_supports(
    shared_backing: Backing, upstream: ScriptedUpstream, kind: str
) -> None:
    """The acknowledgement comes first; the change is published by another gateway."""
    changing: Changing = with_sessions(upstream) if kind == "with sessions" else without_sessions(upstream)
    if kind == "that has no such method":
        upstream.behaviours["subscriptions/listen"] = changing.refuse
    elif kind == "of none":
        changing.honours = {}
    base = f"own-{len(kind)}"
    config = shared_backing.config(
        entry(upstream.url, producer("write")),
        state_persistence={"type": "redis", "redis": {"url": shared_backing.redis_url, "key_base": base}},
    )
    async with (
        connected(config, initialize=False) as client, gateway(config) as second,
        listening(client.http, second + client.mount, "mine", resourcesListChanged=True) as subscriber,
    ):
        acknowledged = await subscriber.message()
        async with _publishing(shared_backing, base):
            received = await subscriber.message()

    assert acknowledged["params"] == {
        "_meta": {SUBSCRIPTION: "mine"}, "notifications": {"resourcesListChanged": True},
    }
    assert received == {"jsonrpc": "2.0", "method": _RESOURCES, "params": {"_meta": {SUBSCRIPTION: "mine"}}}


async def test_a_legacy_client_gets_changes_of_artifacts_though_its_server_has_no_stream(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """On a mount without artifacts the GET is refused."""
    config = shared_backing.config(
        entry(upstream.url, producer("write")), entry(upstream.url) | {"id": "plain", "mount_path": "/mcp/plain"},
        state_persistence={"type": "redis", "redis": {"url": shared_backing.redis_url, "key_base": "own-session"}},
    )
    async with connected(config) as client:
        headers = {**client.headers(), "Accept": "text/event-stream"}
        async with (
            client.http.get(client.base + client.mount, headers=headers) as response,
            _publishing(shared_backing, "own-session"),
        ):
            received = await Stream(response).message()
        client.mount = "/mcp/plain"
        await client.initialize()
        headers = {**client.headers(), "Accept": "text/event-stream"}
        async with client.http.get(client.base + client.mount, headers=headers) as response:
            plain = response.status

    assert received == {"jsonrpc": "2.0", "method": _RESOURCES}
    assert plain == 405


async def test_a_subscriber_gets_no_changes_of_artifacts_unless_subscribed(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    changing = without_sessions(upstream)
    config = shared_backing.config(
        entry(upstream.url, producer("write")),
        state_persistence={"type": "redis", "redis": {"url": shared_backing.redis_url, "key_base": "own-unasked"}},
    )
    async with (
        connected(config, initialize=False) as client,
        listening(client.http, client.base + client.mount, 1, toolsListChanged=True) as subscriber,
        listening(client.http, client.base + client.mount, 2, resourcesListChanged=True) as other,
        _publishing(shared_backing, "own-unasked"),
    ):
        acknowledged = await subscriber.message()
        await other.methods(2)
        await changing.notify("tools/list_changed")
        async with asyncio.timeout(WITHIN_S):
            received = await subscriber.message()

    assert acknowledged["params"]["notifications"] == {"toolsListChanged": True}
    assert received["method"] == "notifications/tools/list_changed"


async def test_a_client_with_input_capabilities_subscribes_in_the_session_of_its_calls_and_in_its_scope(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """The upstream session is of clients with its capabilities, the files are of all clients of the principal."""
    changing = with_sessions(upstream)
    config = shared_backing.config(
        entry(upstream.url, producer("write")),
        state_persistence={"type": "redis", "redis": {"url": shared_backing.redis_url, "key_base": "own-asked"}},
    )
    declared: dict[str, Any] = {"elicitation": {}}
    async with connected(config, initialize=False) as client:
        modern, meta = Modern(client), {f"{PREFIX}clientCapabilities": declared}
        await modern.result("tools/call", {"name": "echo", "arguments": {}}, meta=meta)
        session = upstream.last("tools/call").request.headers["Mcp-Session-Id"]
        async with listening(
            client.http, client.base + client.mount, 1, declared, resourcesListChanged=True,
            resourceSubscriptions=["sea://chart"],
        ) as subscriber:
            await subscriber.message()
            subscribed = changing.subscribed
            await changing.notify("resources/updated", uri="sea://chart")
            updated = await subscriber.methods(1)
            async with _publishing(shared_backing, "own-asked"):
                received = await subscriber.methods(1)

    assert subscribed == {session: {"sea://chart"}}
    assert (updated, received) == (["resources/updated"], ["resources/list_changed"])
