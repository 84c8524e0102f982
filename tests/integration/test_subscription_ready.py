"""A subscription is ready once Redis has confirmed every channel that is still wanted."""

import asyncio
from collections.abc import Iterator

import pytest

from longshore.shared.redis.subscription import Subscription
from longshore.shared.tasks import Tasks
from tests.fixtures.storage import RedisServer, redis_server

_PATIENCE_S = 30.0


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


async def test_it_does_not_wait_for_a_channel_that_is_wanted_no_more(server: RedisServer) -> None:
    """Given up before Redis confirmed it, after all others."""
    tasks, ready = Tasks(), list[str]()
    listening = Subscription(
        server.address, ["all"], tasks, on_message=lambda _: None, on_ready=lambda: ready.append("ready")
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while listening._writer is None:
                await asyncio.sleep(0)
        listening._unconfirmed = len(listening._channels)
        listening._ready.clear()
        for confirmed in listening._channels.values():
            confirmed.clear()
        ready.clear()
        listening.add("scope")
        listening._handle([b"subscribe", b"all", 1])
        before = list(ready)
        listening.remove("scope")
        after = list(ready)
    finally:
        await listening.close()
        await tasks.close()

    assert (before, after) == ([], ["ready"])
