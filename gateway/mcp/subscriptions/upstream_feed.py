"""Those who listen in one scope at this gateway, and the upstream's stream of changes where this gateway holds it."""

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

_LOOK_EVERY_S = 15.0         # a quarter of what a claim holds for: it is renewed, and lost words are made up for
SETTLE_S = 12.0              # for the upstream to take what a listener wants
_SAY_AGAIN_S = 2.0
_BACKOFF = Backoff(0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
_LASTS_S = 30.0              # a stream that ends sooner is opened again less and less soon
_applied = msgspec.msgpack.Decoder(Applied)


@dataclass(frozen=True, slots=True)
class FeedOwner:
    """Whoever an upstream's stream of changes is opened for."""

    subscribed: bytes            # as `Source.want` noted it last, b"" for nothing
    wake: Callable[[], None]     # to be called when the stream is over


class Source(Protocol):
    """An upstream's stream of changes, open: what it says is told by `News`."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and has to be opened again."""

    async def want(self, uris: frozenset[str]) -> bytes:
        """Subscribe to just these. What to note of it for whoever opens the stream next. Raises the family."""


Opener = Callable[[FeedOwner], AbstractAsyncContextManager[Source]]


class Feed:
    """One scope's listeners here. `keep` runs while some of them need the upstream."""

    def __init__(self, scope: str, store: FeedStore, news: Publisher) -> None:
        self.scope = scope
        self.holder = ""                     # the other gateway that has the upstream's stream, "" for none or us
        self.listeners: dict[Subscriber, Opener | None] = {}
        self.look = asyncio.Event()          # whose the stream is may have changed, or what is wanted
        self.keeper: asyncio.Task[None] | None = None
        self._store = store
        self._news = news
        self._revision = 0
        self._uris: frozenset[str] | None = None     # None: nothing was said yet
        self._applied = Applied({}, 0)
        self._settled = asyncio.Event()

    @property
    def needs_upstream(self) -> bool:
        """Whether somebody listens here for what the upstream says."""
        return any(opener is not None for opener in self.listeners.values())

    def hear(self, event: Event) -> None:
        """One word of this scope."""
        if event.kind == CHANGE and (change := changes.parse_change(event.data)) is not None:
            self._tell(change)
        elif event.kind == RESOURCES:
            self._tell(changes.OWN_CHANGE)
        elif event.kind == RESYNC:
            self._uris = None                # Redis may have forgotten it
            self.look.set()
            for listener in self.listeners:
                for change in listener.wants.all_changes():
                    listener.on_event(change)
        elif event.kind == ENDED:
            for listener in self.listeners:
                listener.end()
        elif event.kind in (SUBSCRIPTIONS_CHANGED, VACANT):
            self.look.set()
        elif event.kind == APPLIED:
            with suppress(msgspec.DecodeError):      # of another version of longshore
                self._applied = _applied.decode(event.data)
                self._settled.set()

    def _tell(self, change: changes.Change) -> None:
        for listener in self.listeners:
            listener.on_event(change)

    async def say_wants(self) -> None:
        """Say what the listeners here want of the upstream, where that has changed. Raises StoreDown."""
        wanted = [listener.wants.uris for listener, opener in self.listeners.items() if opener is not None]
        uris = frozenset[str]().union(*wanted)
        if uris != self._uris:
            self._uris, self._revision = uris, self._store.next_revision()
            is_said = False
            try:
                await self._store.set_subscriptions(self.scope, self._revision, sorted(uris))
                is_said = True
            finally:
                if not is_said:
                    self._uris = None

    async def settle(self, *, session: int = 0, within_s: float = SETTLE_S) -> None:
        """Wait until the upstream was told all that is wanted here, and what the session watches as of its change
        `session`. Raises UpstreamDown, StoreDown."""
        revision, deadline_s = self._revision, monotonic_s() + within_s
        while (
            self._applied.gateways.get(self._store.gateway, 0) < revision or self._applied.session < session
        ):
            if monotonic_s() > deadline_s:
                raise UpstreamDown("the upstream server's stream of changes could not be opened in time; try again")
            self._settled.clear()
            try:
                async with asyncio.timeout(_SAY_AGAIN_S):
                    await self._settled.wait()
            except TimeoutError:
                await self._news.publish(Event(SUBSCRIPTIONS_CHANGED, self.scope))

    async def keep(self) -> None:
        """Hold the upstream's stream, or wait for its place, for as long as somebody here needs it."""
        while self.needs_upstream:
            self.look.clear()
            try:
                await self.say_wants()
                claim = await self._store.claim(self.scope)
                self.holder = "" if claim.is_held else claim.holder
                if claim.is_held:
                    was_anothers = claim.holder not in ("", self._store.gateway)
                    await self._hold(claim.upstream_subscriptions, is_first=not was_anothers)
                    continue
            except StoreDown:
                self._uris = None            # what was said may expire before Redis is back
                await asyncio.sleep(_BACKOFF.delay_s(3))
                continue
            await self._is_woken()
        self._uris = None
        with suppress(StoreDown):
            await self._store.release(self.scope)

    async def _hold(self, subscribed: bytes, *, is_first: bool) -> None:
        """Read the upstream's stream, opened again whenever it ends, for as long as it is ours. Raises StoreDown."""
        failures, is_ours = 0, True
        while is_ours:
            openers = [opener for opener in self.listeners.values() if opener is not None]
            if not openers:
                return
            opener = openers[failures % len(openers)]    # the server may let in another client where it refused one
            began_s = monotonic_s()
            try:
                async with opener(FeedOwner(subscribed, self.look.set)) as source:
                    if not is_first:         # nobody knows what happened while the stream was not open
                        await self._tell_missed()
                    is_first = False
                    subscribed, is_ours = await self._serve(source)
            except StoreDown:
                raise
            except LongshoreError as err:
                log.info("changes_not_heard", reason=err.reason)
            failures = 0 if monotonic_s() - began_s > _LASTS_S else failures + 1
            if is_ours:
                await asyncio.sleep(_BACKOFF.delay_s(failures))
                is_ours = self.needs_upstream and (await self._store.claim(self.scope)).is_held

    async def _is_woken(self) -> bool:
        """Whether something is to be looked at, waiting for that; not for so long that a claim would lapse."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self.look.wait()
        return self.look.is_set()

    async def _tell_missed(self) -> None:
        await self._news.publish(Event(RESYNC, self.scope))
        for uri in sorted((await self._store.subscriptions(self.scope)).watched):
            await self._news.publish(Event(CHANGE, self.scope, changes.resource_updated(uri)))

    async def _serve(self, source: Source) -> tuple[bytes, bool]:
        """Keep the stream at what is wanted until it ends. What is subscribed to, and whether it is still ours."""
        subscribed, is_asked = b"", True
        while not source.is_over:
            self.look.clear()
            await self.say_wants()
            wanted = await self._store.subscriptions(self.scope)
            is_last = not self.needs_upstream and wanted.is_only_of(self._store.gateway)
            noted = await source.want(frozenset() if is_last else wanted.uris)
            if noted != subscribed:
                await self._store.save_upstream_subscriptions(self.scope, noted)
                subscribed = noted
            if not self.needs_upstream:
                return subscribed, False
            if is_asked:
                await self._news.publish(Event(APPLIED, self.scope, msgspec.msgpack.encode(wanted.applied)))
            is_asked = await self._is_woken()
            if not (await self._store.claim(self.scope)).is_held:
                return subscribed, False
        return subscribed, True
