"""Word of changes: from whichever process sees one to every gateway whose clients listen for it.

Nothing is kept: who does not listen when it is said does not learn of it. A gateway that may have missed something,
because its connection to Redis was lost, is told just that.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from longshore.shared.keys import Keys
from longshore.shared.redis.address import RedisAddress
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.subscription import Subscription
from longshore.shared.tasks import Tasks

RESOURCES = "resources"      # which files of longshore's own the scope has as resources
LISTS_CHANGED = "lists"      # what a server lists; data: its id. For every gateway
CANCELLED = "cancelled"      # a call of some session's. For every gateway
ENDED = "ended"              # the session, or the scope
RESYNC = "missed"            # anything may have been said meanwhile
_READY_S = 5.0


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One thing that is said. A kind that a gateway does not know is not for it."""

    kind: str
    scope: str               # a session, or what a caller without one has in its place; "" for all
    data: bytes = b""


OnEvent = Callable[[Event], None]
encode_event = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Event)


class Publisher:
    """Says what has changed. For gateways and workers."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def publish(self, event: Event) -> None:
        """Say it to those who listen in its scope, or to all gateways. Raises StoreDown."""
        await self._link.call("PUBLISH", self._channel(event), encode_event(event))

    def publish_nowait(self, event: Event) -> None:
        """Publish without waiting for Redis. The event is lost while Redis is away."""
        self._link.send_nowait("PUBLISH", self._channel(event), encode_event(event))

    def _channel(self, event: Event) -> str:
        return self._keys.news(event.scope) if event.scope else self._keys.news_for_all()


class EventListener:
    """What this gateway listens for. One connection, whatever that is."""

    def __init__(self, address: RedisAddress, keys: Keys, tasks: Tasks, *, on_broadcast: OnEvent) -> None:
        """Begin; `hear_all` hears what is for every gateway."""
        self._keys = keys
        self._on_broadcast = on_broadcast
        self._callbacks: defaultdict[str, list[OnEvent]] = defaultdict(list)
        self._was_ready = False
        self._subscription = Subscription(
            address, [keys.news_for_all()], tasks, on_message=self._on_message, on_ready=self._on_ready
        )

    @asynccontextmanager
    async def subscribed(self, scope: str, on_event: OnEvent) -> AsyncIterator[None]:
        """Call `hear` with every word of `scope` that is said while the block runs."""
        self.subscribe(scope, on_event)
        try:
            await self.await_subscription(scope)
            yield
        finally:
            self.unsubscribe(scope, on_event)

    def subscribe(self, scope: str, on_event: OnEvent) -> None:
        """Call `hear` with every word of `scope` that is said from some moment on; see `wait`."""
        hearers = self._callbacks[scope]
        hearers.append(on_event)
        if len(hearers) == 1:
            self._subscription.add(self._keys.news(scope))

    async def await_subscription(self, scope: str) -> None:
        """Wait until what is said of `scope`, which has begun, is heard; not for ever, should Redis be away."""
        await self._subscription.wait_for(self._keys.news(scope), _READY_S)

    def unsubscribe(self, scope: str, on_event: OnEvent) -> None:
        """Call it no more."""
        hearers = self._callbacks[scope]
        hearers.remove(on_event)
        if not hearers:
            del self._callbacks[scope]
            self._subscription.remove(self._keys.news(scope))

    async def close(self) -> None:
        """Listen no more."""
        await self._subscription.close()

    def _on_message(self, message: bytes) -> None:
        try:
            event = _decoder.decode(message)
        except msgspec.DecodeError:
            return                       # of another version of longshore
        if not event.scope:
            self._on_broadcast(event)
        for hear in tuple(self._callbacks.get(event.scope, ())):
            hear(event)

    def _on_ready(self) -> None:
        if self._was_ready:
            for scope, hearers in list(self._callbacks.items()):
                for hear in tuple(hearers):
                    hear(Event(RESYNC, scope))
        self._was_ready = True
