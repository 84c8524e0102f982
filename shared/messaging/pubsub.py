"""Change events over Redis pub/sub, one channel per scope and one for all gateways.

At most once: an event without subscriber is lost. After a lost connection to Redis, subscribers get RESYNC.
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

RESOURCES = "resources"      # the scope's artifacts that are resources
LISTS_CHANGED = "lists"      # lists of a server; data: its id. For every gateway
CANCELLED = "cancelled"      # a call of some session. For every gateway
ENDED = "ended"              # the session or scope
RESYNC = "missed"            # events may have been lost
_READY_S = 5.0


class Event(msgspec.Struct, frozen=True, array_like=True):
    """Published event. Gateways ignore kinds that they do not know."""

    kind: str
    scope: str               # session id, or the scope of a caller without session; "" for all
    data: bytes = b""


OnEvent = Callable[[Event], None]
encode_event = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Event)


class Publisher:
    """Publisher of events, for gateways and workers."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def publish(self, event: Event) -> None:
        """Publish to the subscribers of the event's scope, or to all gateways. Raises StoreDown."""
        await self._link.call("PUBLISH", self._channel(event), encode_event(event))

    def publish_nowait(self, event: Event) -> None:
        """Publish without waiting for Redis. The event is lost while Redis is away."""
        self._link.send_nowait("PUBLISH", self._channel(event), encode_event(event))

    def _channel(self, event: Event) -> str:
        return self._keys.events_channel(event.scope) if event.scope else self._keys.broadcast_channel()


class EventListener:
    """Subscriptions of this gateway, over one connection."""

    def __init__(self, address: RedisAddress, keys: Keys, tasks: Tasks, *, on_broadcast: OnEvent) -> None:
        """Connect. `on_broadcast` gets the events for every gateway."""
        self._keys = keys
        self._on_broadcast = on_broadcast
        self._callbacks: defaultdict[str, list[OnEvent]] = defaultdict(list)
        self._was_ready = False
        self._subscription = Subscription(
            address, [keys.broadcast_channel()], tasks, on_message=self._on_message, on_ready=self._on_ready
        )

    @asynccontextmanager
    async def subscribed(self, scope: str, on_event: OnEvent) -> AsyncIterator[None]:
        """Call `on_event` with every event of `scope` inside the block."""
        self.subscribe(scope, on_event)
        try:
            await self.await_subscription(scope)
            yield
        finally:
            self.unsubscribe(scope, on_event)

    def subscribe(self, scope: str, on_event: OnEvent) -> None:
        """Start to call `on_event` with the events of `scope`; `await_subscription` tells from when."""
        callbacks = self._callbacks[scope]
        callbacks.append(on_event)
        if len(callbacks) == 1:
            self._subscription.add(self._keys.events_channel(scope))

    async def await_subscription(self, scope: str) -> None:
        """Wait until Redis has confirmed the subscription of `scope`, or five seconds if Redis is away."""
        await self._subscription.await_channel(self._keys.events_channel(scope), _READY_S)

    def unsubscribe(self, scope: str, on_event: OnEvent) -> None:
        """Stop calling `on_event` with the events of `scope`."""
        callbacks = self._callbacks[scope]
        callbacks.remove(on_event)
        if not callbacks:
            del self._callbacks[scope]
            self._subscription.remove(self._keys.events_channel(scope))

    async def close(self) -> None:
        """End all subscriptions."""
        await self._subscription.close()

    def _on_message(self, message: bytes) -> None:
        try:
            event = _decoder.decode(message)
        except msgspec.DecodeError:
            return                       # from another version of longshore
        if not event.scope:
            self._on_broadcast(event)
        for on_event in tuple(self._callbacks.get(event.scope, ())):
            on_event(event)

    def _on_ready(self) -> None:
        if self._was_ready:
            for scope, callbacks in list(self._callbacks.items()):
                for on_event in tuple(callbacks):
                    on_event(Event(RESYNC, scope))
        self._was_ready = True
