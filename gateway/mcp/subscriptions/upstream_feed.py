"""Feed: fan-out of one scope's change notifications; one gateway, chosen in Redis, holds the upstream's stream."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Protocol

import msgspec
import structlog

from longshore.gateway.mcp.subscriptions.subscriber import Subscriber
from longshore.gateway.wire import changes
from longshore.shared.backoff import Backoff
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError, StoreDown, UpstreamDown
from longshore.shared.messaging.pubsub import ENDED, RESOURCES, RESYNC, Event, Publisher
from longshore.shared.state.feeds import APPLIED, CHANGE, SUBSCRIPTIONS_CHANGED, VACANT, Applied, FeedStore

log = structlog.get_logger(__name__)

APPLY_TIMEOUT_S = 12.0       # for the upstream to apply a subscription
_CHECK_EVERY_S = 15.0        # a quarter of a claim's lifetime: it is renewed, and lost events are made up for
_REPUBLISH_EVERY_S = 2.0
_STORE_RETRY_S = 1.0
_BACKOFF = Backoff(0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
_STABLE_S = 30.0             # a stream that ends sooner is opened again with growing back-off
_applied = msgspec.msgpack.Decoder(Applied)


@dataclass(frozen=True, slots=True)
class FeedOwner:
    """Owner of a feed, as the source that it opens sees it."""

    saved_subscriptions: bytes           # as `Source.subscribe` returned them last, b"" for none
    on_closed: Callable[[], None]        # called when the stream is closed


class Source(Protocol):
    """Open stream of an upstream's changes, each of which it publishes."""

    @property
    def is_over(self) -> bool:
        """True where it has ended and has to be opened again."""

    async def subscribe(self, uris: frozenset[str]) -> bytes:
        """Subscribe to just these resources. Returns what to save of it for the next source. Raises LongshoreError."""


Opener = Callable[[FeedOwner], AbstractAsyncContextManager[Source]]


class Feed:
    """One scope's subscribers at this gateway. `run` runs while some of them need the upstream."""

    def __init__(self, scope: str, store: FeedStore, publisher: Publisher) -> None:
        self.scope = scope
        self.owner = ""                      # the other gateway that holds the upstream's stream, "" for none or us
        self.subscribers: dict[Subscriber, Opener | None] = {}
        self.needs_check = asyncio.Event()   # the owner or the subscriptions may have changed
        self.task: asyncio.Task[None] | None = None      # of `run`
        self._store = store
        self._publisher = publisher
        self._revision = 0
        self._uris: frozenset[str] | None = None         # as saved in Redis last, None for unknown
        self._applied = Applied({}, 0)
        self._has_applied = asyncio.Event()

    @property
    def needs_upstream(self) -> bool:
        """True where a subscriber here wants the upstream's changes."""
        return any(opener is not None for opener in self.subscribers.values())

    def on_event(self, event: Event) -> None:
        """Handle one event of this scope."""
        if event.kind == CHANGE and (change := changes.parse_change(event.data)) is not None:
            self._dispatch(change)
        elif event.kind == RESOURCES:
            self._dispatch(changes.OWN_CHANGE)
        elif event.kind == RESYNC:
            self._uris = None                # Redis may have lost them
            self.needs_check.set()
            for subscriber in self.subscribers:
                for change in subscriber.filter.all_changes():
                    subscriber.on_change(change)
        elif event.kind == ENDED:
            for subscriber in self.subscribers:
                subscriber.end()
        elif event.kind in (SUBSCRIPTIONS_CHANGED, VACANT):
            self.needs_check.set()
        elif event.kind == APPLIED:
            with suppress(msgspec.DecodeError):      # of another version of longshore
                self._applied = _applied.decode(event.data)
                self._has_applied.set()

    def _dispatch(self, change: changes.Change) -> None:
        for subscriber in self.subscribers:
            subscriber.on_change(change)

    async def save_subscriptions(self) -> None:
        """Save the resources that subscribers here want of the upstream, if they have changed. Raises StoreDown."""
        wanted = [subscriber.filter.uris for subscriber, opener in self.subscribers.items() if opener is not None]
        uris = frozenset[str]().union(*wanted)
        if uris != self._uris:
            self._uris, self._revision = uris, self._store.next_revision()
            try:
                await self._store.set_subscriptions(self.scope, self._revision, sorted(uris))
            except BaseException:
                self._uris = None
                raise

    async def wait_applied(self, *, session: int = 0, timeout_s: float = APPLY_TIMEOUT_S) -> None:
        """Wait until the upstream has applied the subscriptions of this gateway.

        With `session`, also the session's own as of this change number. Raises UpstreamDown, StoreDown.
        """
        revision, deadline_s = self._revision, monotonic_s() + timeout_s
        while (
            self._applied.gateways.get(self._store.gateway, 0) < revision or self._applied.session < session
        ):
            if monotonic_s() > deadline_s:
                raise UpstreamDown("the upstream server's stream of changes could not be opened in time; try again")
            self._has_applied.clear()
            try:
                async with asyncio.timeout(_REPUBLISH_EVERY_S):
                    await self._has_applied.wait()
            except TimeoutError:
                await self._publisher.publish(Event(SUBSCRIPTIONS_CHANGED, self.scope))

    async def run(self) -> None:
        """Hold the upstream's stream, or wait until it can be claimed, while a subscriber here needs it."""
        while self.needs_upstream:
            self.needs_check.clear()
            try:
                await self.save_subscriptions()
                claim = await self._store.claim(self.scope)
                self.owner = "" if claim.is_held else claim.owner
                if claim.is_held:
                    is_takeover = claim.owner not in ("", self._store.gateway)
                    await self._hold(claim.upstream_subscriptions, is_reopened=is_takeover)
                    continue
            except StoreDown:
                self._uris = None            # they may expire before Redis is back
                await asyncio.sleep(_STORE_RETRY_S)
                continue
            await self._wait_for_check()
        self._uris = None
        with suppress(StoreDown):
            await self._store.release(self.scope)

    async def _hold(self, saved: bytes, *, is_reopened: bool) -> None:
        """Hold the upstream's stream, opened again whenever it ends, while the claim is held. Raises StoreDown."""
        failures, is_held = 0, True
        while is_held:
            openers = [opener for opener in self.subscribers.values() if opener is not None]
            if not openers:
                return
            opener = openers[failures % len(openers)]    # the server may admit another client where it refused one
            started_s = monotonic_s()
            try:
                async with opener(FeedOwner(saved, self.needs_check.set)) as source:
                    if is_reopened:          # changes may have been missed while the stream was closed
                        await self._publish_resync()
                    is_reopened = True
                    saved, is_held = await self._follow(source)
            except StoreDown:
                raise
            except LongshoreError as err:
                log.info("changes_not_heard", reason=err.reason)
            failures = 0 if monotonic_s() - started_s > _STABLE_S else failures + 1
            if is_held:
                await asyncio.sleep(_BACKOFF.delay_s(failures))
                is_held = self.needs_upstream and (await self._store.claim(self.scope)).is_held

    async def _follow(self, source: Source) -> tuple[bytes, bool]:
        """Apply subscriptions to the stream until it ends. Returns what was saved, and whether the claim is held."""
        saved, is_due = b"", True
        while not source.is_over:
            self.needs_check.clear()
            await self.save_subscriptions()
            subscriptions = await self._store.subscriptions(self.scope)
            is_last = not self.needs_upstream and subscriptions.is_only_of(self._store.gateway)
            subscribed = await source.subscribe(frozenset() if is_last else subscriptions.uris)
            if subscribed != saved:
                await self._store.save_upstream_subscriptions(self.scope, subscribed)
                saved = subscribed
            if not self.needs_upstream:
                return saved, False
            if is_due:
                await self._publisher.publish(
                    Event(APPLIED, self.scope, msgspec.msgpack.encode(subscriptions.applied))
                )
            is_due = await self._wait_for_check()
            if not (await self._store.claim(self.scope)).is_held:
                return saved, False
        return saved, True

    async def _wait_for_check(self) -> bool:
        """Wait until a check is needed, at most until the claim has to be renewed. Returns True where one is needed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CHECK_EVERY_S):
                await self.needs_check.wait()
        return self.needs_check.is_set()

    async def _publish_resync(self) -> None:
        await self._publisher.publish(Event(RESYNC, self.scope))
        for uri in sorted((await self._store.subscriptions(self.scope)).watched):
            await self._publisher.publish(Event(CHANGE, self.scope, changes.resource_updated(uri)))
