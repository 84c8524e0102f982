"""Change feeds of this gateway, one per scope with subscribers, and the heartbeat by which gateways share them.

For each scope one gateway holds the upstream's stream and publishes its changes to all gateways. Each gateway checks
the heartbeats of those that hold streams which its own subscribers need; the first to find one dead takes its streams.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from longshore.gateway.mcp.subscriptions.subscriber import Subscriber
from longshore.gateway.mcp.subscriptions.upstream_feed import APPLY_TIMEOUT_S, Feed, Opener
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import StoreDown, UpstreamDown
from longshore.shared.messaging.pubsub import EventListener, Publisher
from longshore.shared.state.feeds import FeedStore
from longshore.shared.tasks import Tasks

_HEARTBEAT_EVERY_S = 1.0
_STALE_S = 2.0               # a heartbeat lasts longer; other gateways must not find us dead when we claim a feed
_EXPIRED_S = 5.0             # then they do
_CLOSE_TIMEOUT_S = 3.0
_NO_WAIT_TIMEOUT_S = 8.0     # longer than it takes to find out that a gateway has died


class Feeds:
    """Every feed of this process. Built once at start-up."""

    def __init__(self, store: FeedStore, events: EventListener, publisher: Publisher, tasks: Tasks) -> None:
        self._store = store
        self._events = events
        self._publisher = publisher
        self._tasks = tasks
        self._feeds: dict[str, Feed] = {}
        self._heartbeat_s = -_EXPIRED_S

    @property
    def count(self) -> int:
        """Number of scopes with subscribers at this gateway."""
        return len(self._feeds)

    @asynccontextmanager
    async def subscribed(
        self, scope: str, subscriber: Subscriber, opener: Opener | None, *, must_be_open: bool = True
    ) -> AsyncIterator[Feed]:
        """Send the changes of `scope` to `subscriber` while the block runs.

        With an `opener` they include the upstream's; then the block starts when the upstream's stream is open and the
        subscriber's resources are subscribed to. Raises StoreDown, and UpstreamDown when that takes too long; unless
        it `must_be_open`, the block starts all the same.
        """
        feed = self._feeds.get(scope)
        if feed is None:
            feed = self._feeds[scope] = Feed(scope, self._store, self._publisher)
            self._events.subscribe(scope, feed.on_event)
        feed.subscribers[subscriber] = opener
        try:
            await self._events.await_subscription(scope)
            if opener is not None:
                if monotonic_s() - self._heartbeat_s > _STALE_S:
                    await self._send_heartbeat()
                self._start(feed)
                await feed.save_subscriptions()
                with suppress(*() if must_be_open else (UpstreamDown,)):
                    await feed.wait_applied(timeout_s=APPLY_TIMEOUT_S if must_be_open else _NO_WAIT_TIMEOUT_S)
            yield feed
        finally:
            del feed.subscribers[subscriber]
            feed.needs_check.set()
            self._remove_unused(feed)

    def _start(self, feed: Feed) -> None:
        if feed.task is None and feed.needs_upstream:
            feed.task = self._tasks.start(self._run(feed), name="keep_feed")

    async def _run(self, feed: Feed) -> None:
        try:
            await feed.run()
        finally:
            feed.task = None
            self._remove_unused(feed)
        self._start(feed)        # a subscriber may have been added while it ended

    def _remove_unused(self, feed: Feed) -> None:
        if not feed.subscribers and feed.task is None and self._feeds.get(feed.scope) is feed:
            del self._feeds[feed.scope]
            self._events.unsubscribe(feed.scope, feed.on_event)

    async def run_heartbeat(self) -> None:
        """Send this gateway's heartbeat while it has feeds, and check those of the owners, until cancelled."""
        while True:
            await asyncio.sleep(_HEARTBEAT_EVERY_S)
            if self._feeds:
                with suppress(StoreDown):
                    await self._send_heartbeat()

    async def _send_heartbeat(self) -> None:
        owners = sorted({feed.owner for feed in self._feeds.values() if feed.owner})
        was_expired = monotonic_s() - self._heartbeat_s > _EXPIRED_S
        dead = set(await self._store.heartbeat(owners))
        self._heartbeat_s = monotonic_s()
        for feed in list(self._feeds.values()):
            if was_expired or feed.owner in dead:
                feed.needs_check.set()

    async def close(self) -> None:
        """Wait until the feeds are released, so that other gateways take them over at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                while self._feeds:
                    for feed in self._feeds.values():
                        feed.needs_check.set()
                    await asyncio.sleep(0.02)


FEEDS = web.AppKey("feeds", Feeds)
