"""Feeds in Redis: one gateway holds the upstream's stream, with the subscriptions of all."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from longshore.gateway.mcp.subscriptions.subscriber import Subscriber
from longshore.gateway.mcp.subscriptions.upstream_feed import Feed, FeedOwner, Source
from longshore.gateway.wire.changes import ChangeFilter
from longshore.shared.errors import SessionGone, StoreDown, TooMany
from longshore.shared.messaging.pubsub import RESYNC, Event, Publisher
from longshore.shared.state.feeds import FeedStore
from tests.fixtures.storage import State, opened_state, redis_server

_PATIENCE_S = 30.0


def _gateways(state: State, *names: str) -> list[FeedStore]:
    return [FeedStore(state.link, state.keys, name) for name in names]


async def _start_heartbeats(state: State, *gateways: FeedStore) -> None:
    """Send heartbeats that do not expire."""
    for gateway in gateways:
        await gateway.heartbeat([])
        await state.link.call("PERSIST", state.keys.gateway_alive(gateway.gateway))


async def _stop_heartbeat(state: State, gateway: FeedStore) -> None:
    await state.link.call("DEL", state.keys.gateway_alive(gateway.gateway))


async def test_one_of_many_gateways_holds_the_claim_until_its_heartbeat_stops(state: State) -> None:
    """Then one of the others gets it, with the saved upstream subscriptions."""
    scope, gateways = await state.open_session(), _gateways(state, *(f"race-{number}" for number in range(20)))
    await _start_heartbeats(state, *gateways)

    first = await asyncio.gather(*(gateway.claim(scope) for gateway in gateways))
    [owner] = [gateway for gateway, claim in zip(gateways, first, strict=True) if claim.is_held]
    await owner.save_upstream_subscriptions(scope, b"saved")
    again = await asyncio.gather(*(gateway.claim(scope) for gateway in gateways))
    await _stop_heartbeat(state, owner)
    others = [gateway for gateway in gateways if gateway is not owner]
    after = await asyncio.gather(*(gateway.claim(scope) for gateway in others))
    late = await owner.claim(scope)

    assert [claim.is_held for claim in again] == [claim.is_held for claim in first]
    assert {claim.owner for claim in first} == {"", owner.gateway}
    [taken] = [claim for claim in after if claim.is_held]
    assert (taken.owner, taken.upstream_subscriptions) == (owner.gateway, b"saved")
    assert not late.is_held


async def test_a_gateway_without_heartbeat_is_found_dead(state: State) -> None:
    one, other = _gateways(state, "beat-1", "beat-2")
    await _start_heartbeats(state, other)
    alive = await one.heartbeat([other.gateway])
    await _stop_heartbeat(state, other)

    assert alive == []
    assert await one.heartbeat([other.gateway]) == [other.gateway]


async def test_subscriptions_of_live_gateways_and_of_the_session_are_united(state: State) -> None:
    """Those of a dead gateway are dropped."""
    scope, (one, other) = await state.open_session(), _gateways(state, "want-1", "want-2")
    await _start_heartbeats(state, one, other)
    await asyncio.gather(one.set_subscriptions(scope, 3, ["a", "b"]), other.set_subscriptions(scope, 5, ["b", "c"]))
    await one.watch(scope, "w", watch=True)

    together = await one.subscriptions(scope)
    await _stop_heartbeat(state, other)
    alone = await one.subscriptions(scope)

    assert together.uris == {"a", "b", "c", "w"}
    assert together.watched == {"w"}
    assert (together.applied.gateways, together.applied.session) == ({"want-1": 3, "want-2": 5}, 1)
    assert alone.uris == {"a", "b", "w"}
    assert alone.applied.gateways == {"want-1": 3}
    assert alone.is_only_of("want-1")
    assert not together.is_only_of("want-1")


async def test_resource_subscriptions_of_a_session_are_counted_once_and_limited(state: State) -> None:
    """Many arrive at once."""
    scope, [gateway] = await state.open_session(), _gateways(state, "watch")
    await _start_heartbeats(state, gateway)
    uris = [f"sea://{number % 100}" for number in range(300)]

    await asyncio.gather(*(gateway.watch(scope, uri, watch=True) for uri in uris))
    many = await gateway.subscriptions(scope)
    await asyncio.gather(*(gateway.watch(scope, uri, watch=False) for uri in uris[1:100]))
    few = await gateway.subscriptions(scope)
    await asyncio.gather(*(gateway.watch(scope, f"x://{number}", watch=True) for number in range(999)))
    with pytest.raises(TooMany):
        await gateway.watch(scope, "x://one-more", watch=True)
    _, is_held_before = await gateway.watch(scope, "x://1", watch=True)
    await gateway.claim(scope)
    changes, is_held = await gateway.watch(scope, "x://1", watch=False)
    await state.end_session(scope)
    with pytest.raises(SessionGone):
        await gateway.watch(scope, "x://1", watch=True)

    assert (len(many.watched), many.applied.session) == (100, 100)
    assert few.watched == {"sea://0"}
    assert (is_held_before, is_held) == (False, True)
    assert changes == 100 + 99 + 999 + 1


async def test_the_last_release_removes_the_feed(state: State) -> None:
    """A release before it passes the claim and the saved subscriptions to the others."""
    scope, (one, other) = await state.open_session(), _gateways(state, "leave-1", "leave-2")
    await _start_heartbeats(state, one, other)
    await asyncio.gather(one.set_subscriptions(scope, 1, ["a"]), other.set_subscriptions(scope, 1, ["b"]))
    await one.claim(scope)
    await one.save_upstream_subscriptions(scope, b"saved")
    await other.save_upstream_subscriptions(scope, b"not of the owner")

    await one.release(scope)
    taken = await other.claim(scope)
    await other.release(scope)

    assert (taken.is_held, taken.owner, taken.upstream_subscriptions) == (True, "-", b"saved")
    assert await state.link.call("EXISTS", state.keys.feed(scope), state.keys.feed_subscriptions(scope)) == 0


async def test_a_claim_renews_the_subscriptions(state: State) -> None:
    """While the upstream is down, only claims are made."""
    scope, [one] = await state.open_session(), _gateways(state, "lasts")
    await one.set_subscriptions(scope, 1, ["a"])
    await state.link.call("PEXPIRE", state.keys.feed_subscriptions(scope), 20_000)

    await one.claim(scope)

    assert await state.link.call("PTTL", state.keys.feed_subscriptions(scope)) > 40_000


async def test_subscriptions_are_saved_again_after_a_resync(state: State) -> None:
    scope, [one] = await state.open_session(), _gateways(state, "again")
    feed = Feed(scope, one, Publisher(state.link, state.keys))
    feed.subscribers[Subscriber(ChangeFilter(frozenset(), frozenset({"a"})))] = _no_stream
    await feed.save_subscriptions()
    await state.link.call("DEL", state.keys.feed_subscriptions(scope))

    feed.on_event(Event(RESYNC, scope))
    await feed.save_subscriptions()

    assert (await one.subscriptions(scope)).uris == {"a"}


async def test_subscriptions_that_could_not_be_saved_are_saved_later() -> None:
    """Redis is down and comes back."""
    with redis_server() as lost:
        async with opened_state(lost.address) as state:
            scope, [one] = await state.open_session(), _gateways(state, "later")
            feed = Feed(scope, one, Publisher(state.link, state.keys))
            feed.subscribers[Subscriber(ChangeFilter(frozenset(), frozenset({"a"})))] = _no_stream
            lost.kill()
            with pytest.raises(StoreDown):
                await feed.save_subscriptions()
            lost.start()

            async with asyncio.timeout(_PATIENCE_S):
                while not await _is_saved(feed):
                    await asyncio.sleep(0.01)

            assert (await one.subscriptions(scope)).uris == {"a"}


async def _is_saved(feed: Feed) -> bool:
    try:
        await feed.save_subscriptions()
    except StoreDown:
        return False
    return True


def _no_stream(owner: FeedOwner) -> AbstractAsyncContextManager[Source]:
    raise AssertionError("no stream is opened in this test")
