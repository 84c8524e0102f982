"""The upstreams' changes for all who listen: of each scope one gateway takes them, and every gateway tells them.

The gateways look whether those live that hold streams which their own listeners need; the first to see that one does
not takes its place.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from longshore.gateway.mcp.subscriptions.subscriber import Subscriber
from longshore.gateway.mcp.subscriptions.upstream_feed import SETTLE_S, Feed, Opener
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import StoreDown, UpstreamDown
from longshore.shared.messaging.pubsub import EventListener, Publisher
from longshore.shared.state.feeds import FeedStore
from longshore.shared.tasks import Tasks

_BEAT_EVERY_S = 1.0
_STALE_S = 2.0               # a beat holds for longer; others must not think us dead when we take a stream
_LATE_S = 5.0                # then they do
_CLOSE_S = 3.0
_SOON_S = 8.0                # longer than it takes to see that a gateway has died


class Feeds:
    """Every feed of this process. Built once at start-up."""

    def __init__(self, store: FeedStore, hearing: EventListener, news: Publisher, tasks: Tasks) -> None:
        self._store = store
        self._hearing = hearing
        self._news = news
        self._tasks = tasks
        self._feeds: dict[str, Feed] = {}
        self._beat_s = -_LATE_S

    @property
    def count(self) -> int:
        """Scopes that somebody listens in here."""
        return len(self._feeds)

    @asynccontextmanager
    async def joined(
        self, scope: str, listener: Subscriber, opener: Opener | None, *, waits: bool = True
    ) -> AsyncIterator[Feed]:
        """Tell `listener` what changes in `scope` while the block runs, the upstream's changes too where there is an
        `opener` of its stream: then the block begins once that is open, and subscribed to what the listener wants.

        Raises StoreDown, and UpstreamDown when that takes too long; where nobody `waits` for it, it begins soon.
        """
        feed = self._feeds.get(scope)
        if feed is None:
            feed = self._feeds[scope] = Feed(scope, self._store, self._news)
            self._hearing.subscribe(scope, feed.hear)
        feed.listeners[listener] = opener
        try:
            await self._hearing.await_subscription(scope)
            if opener is not None:
                if monotonic_s() - self._beat_s > _STALE_S:
                    await self._beat()
                self._keep(feed)
                await feed.say_wants()
                with suppress(*() if waits else (UpstreamDown,)):
                    await feed.settle(within_s=SETTLE_S if waits else _SOON_S)
            yield feed
        finally:
            del feed.listeners[listener]
            feed.look.set()
            self._let_go(feed)

    def _keep(self, feed: Feed) -> None:
        if feed.keeper is None and feed.needs_upstream:
            feed.keeper = self._tasks.start(self._kept(feed), name="keep_feed")

    async def _kept(self, feed: Feed) -> None:
        try:
            await feed.keep()
        finally:
            feed.keeper = None
            self._let_go(feed)
        self._keep(feed)         # somebody may have come while it ended

    def _let_go(self, feed: Feed) -> None:
        if not feed.listeners and feed.keeper is None and self._feeds.get(feed.scope) is feed:
            del self._feeds[feed.scope]
            self._hearing.unsubscribe(feed.scope, feed.hear)

    async def beat(self) -> None:
        """Say that this gateway lives while anybody listens here, and look whether the others do; until cancelled."""
        while True:
            await asyncio.sleep(_BEAT_EVERY_S)
            if self._feeds:
                with suppress(StoreDown):
                    await self._beat()

    async def _beat(self) -> None:
        holders = sorted({feed.holder for feed in self._feeds.values() if feed.holder})
        was_late = monotonic_s() - self._beat_s > _LATE_S
        dead = set(await self._store.heartbeat(holders))
        self._beat_s = monotonic_s()
        for feed in list(self._feeds.values()):
            if was_late or feed.holder in dead:
                feed.look.set()

    async def close(self) -> None:
        """Give up what is held, so that other gateways take it over at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                while self._feeds:
                    for feed in self._feeds.values():
                        feed.look.set()
                    await asyncio.sleep(0.02)


FEEDS = web.AppKey("feeds", Feeds)
