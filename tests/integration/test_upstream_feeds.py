"""Feeds in Redis: one gateway holds the upstream's stream, and the subscriptions of all gateways add up."""

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


async def _live(state: State, *gateways: FeedStore) -> None:
    """Keep the heartbeats current, however slow the test is."""
    for gateway in gateways:
        await gateway.heartbeat([])
        await state.link.call("PERSIST", state.keys.gateway_alive(gateway.gateway))


async def _dies(state: State, gateway: FeedStore) -> None:
    await state.link.call("DEL", state.keys.gateway_alive(gateway.gateway))


async def test_of_many_gateways_one_claims_the_feed_until_it_dies(state: State) -> None:
    """Then another gateway claims it and continues with the saved subscriptions."""
    scope, gateways = await state.open_session(), _gateways(state, *(f"race-{number}" for number in range(20)))
    await _live(state, *gateways)

    first = await asyncio.gather(*(gateway.claim(scope) for gateway in gateways))
    [holder] = [gateway for gateway, claim in zip(gateways, first, strict=True) if claim.is_held]
    await holder.save_upstream_subscriptions(scope, b"noted")
    again = await asyncio.gather(*(gateway.claim(scope) for gateway in gateways))
    await _dies(state, holder)
    others = [gateway for gateway in gateways if gateway is not holder]
    after = await asyncio.gather(*(gateway.claim(scope) for gateway in others))
    late = await holder.claim(scope)

    assert [claim.is_held for claim in again] == [claim.is_held for claim in first]
    assert {claim.holder for claim in first} == {"", holder.gateway}
    [taken] = [claim for claim in after if claim.is_held]
    assert (taken.holder, taken.upstream_subscriptions) == (holder.gateway, b"noted")
    assert not late.is_held


async def test_a_gateway_is_alive_while_its_heartbeat_is_current(state: State) -> None:
    one, other = _gateways(state, "beat-1", "beat-2")
    await _live(state, other)
    alive = await one.heartbeat([other.gateway])
    await _dies(state, other)

    assert alive == []
    assert await one.heartbeat([other.gateway]) == [other.gateway]


async def test_subscriptions_of_live_gateways_and_the_session_add_up(state: State) -> None:
    """Subscriptions of dead gateways are removed."""
    scope, (one, other) = await state.open_session(), _gateways(state, "want-1", "want-2")
    await _live(state, one, other)
    await asyncio.gather(one.set_subscriptions(scope, 3, ["a", "b"]), other.set_subscriptions(scope, 5, ["b", "c"]))
    await one.watch(scope, "w", watch=True)

    together = await one.subscriptions(scope)
    await _dies(state, other)
    alone = await one.subscriptions(scope)

    assert together.uris == {"a", "b", "c", "w"}
    assert together.watched == {"w"}
    assert (together.applied.gateways, together.applied.session) == ({"want-1": 3, "want-2": 5}, 1)
    assert alone.uris == {"a", "b", "w"}
    assert alone.applied.gateways == {"want-1": 3}
    assert alone.is_only_of("want-1")
    assert not together.is_only_of("want-1")


async def test_a_session_subscribes_to_each_resource_once_up_to_the_limit(state: State) -> None:
    """For any number of concurrent requests."""
    scope, [gateway] = await state.open_session(), _gateways(state, "watch")
    await _live(state, gateway)
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


async def test_the_last_gateway_that_releases_a_feed_leaves_nothing(state: State) -> None:
    """An earlier one leaves the feed and its subscriptions to the others."""
    scope, (one, other) = await state.open_session(), _gateways(state, "leave-1", "leave-2")
    await _live(state, one, other)
    await asyncio.gather(one.set_subscriptions(scope, 1, ["a"]), other.set_subscriptions(scope, 1, ["b"]))
    await one.claim(scope)
    await one.save_upstream_subscriptions(scope, b"noted")
    await other.save_upstream_subscriptions(scope, b"not the holder's to say")

    await one.release(scope)
    taken = await other.claim(scope)
    await other.release(scope)

    assert (taken.is_held, taken.holder, taken.upstream_subscriptions) == (True, "-", b"noted")
    assert await state.link.call("EXISTS", state.keys.feed(scope), state.keys.feed_subscriptions(scope)) == 0


async def test_subscriptions_last_while_a_gateway_claims_the_feed(state: State) -> None:
    """Also while the upstream is down and no gateway reads them."""
    scope, [one] = await state.open_session(), _gateways(state, "lasts")
    await one.set_subscriptions(scope, 1, ["a"])
    await state.link.call("PEXPIRE", state.keys.feed_subscriptions(scope), 20_000)

    await one.claim(scope)

    assert await state.link.call("PTTL", state.keys.feed_subscriptions(scope)) > 40_000


async def test_subscriptions_are_set_again_after_redis_may_have_lost_them(state: State) -> None:
    scope, [one] = await state.open_session(), _gateways(state, "again")
    feed = Feed(scope, one, Publisher(state.link, state.keys))
    feed.subscribers[Subscriber(ChangeFilter(frozenset(), frozenset({"a"})))] = _no_stream
    await feed.save_subscriptions()
    await state.link.call("DEL", state.keys.feed_subscriptions(scope))

    feed.on_event(Event(RESYNC, scope))
    await feed.save_subscriptions()

    assert (await one.subscriptions(scope)).uris == {"a"}


async def test_subscriptions_that_could_not_be_set_are_set_later() -> None:
    """Once Redis is back."""
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
                while not await _is_said(feed):
                    await asyncio.sleep(0.01)

            assert (await one.subscriptions(scope)).uris == {"a"}


async def _is_said(feed: Feed) -> bool:
    try:
        await feed.save_subscriptions()
    except StoreDown:
        return False
    return True


def _no_stream(owner: FeedOwner) -> AbstractAsyncContextManager[Source]:
    raise AssertionError("nobody opens it here")
