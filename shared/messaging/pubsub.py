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


Hear = Callable[[Event], None]
packed = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Event)


class Publisher:
    """Says what has changed. For gateways and workers."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def publish(self, event: Event) -> None:
        """Say it to those who listen in its scope, or to all gateways. Raises StoreDown."""
        channel = self._keys.news(event.scope) if event.scope else self._keys.news_for_all()
        await self._link.call("PUBLISH", channel, packed(event))


class EventListener:
    """What this gateway listens for. One connection, whatever that is."""

    def __init__(self, address: RedisAddress, keys: Keys, tasks: Tasks, *, hear_all: Hear) -> None:
        """Begin; `hear_all` hears what is for every gateway."""
        self._keys = keys
        self._hear_all = hear_all
        self._hearers: defaultdict[str, list[Hear]] = defaultdict(list)
        self._was_ready = False
        self._subscription = Subscription(
            address, [keys.news_for_all()], tasks, on_message=self._heard, on_ready=self._ready
        )

    @asynccontextmanager
    async def hears(self, scope: str, hear: Hear) -> AsyncIterator[None]:
        """Call `hear` with every word of `scope` that is said while the block runs."""
        self.begin(scope, hear)
        try:
            await self.wait(scope)
            yield
        finally:
            self.end(scope, hear)

    def begin(self, scope: str, hear: Hear) -> None:
        """Call `hear` with every word of `scope` that is said from some moment on; see `wait`."""
        hearers = self._hearers[scope]
        hearers.append(hear)
        if len(hearers) == 1:
            self._subscription.add(self._keys.news(scope))

    async def wait(self, scope: str) -> None:
        """Wait until what is said of `scope`, which has begun, is heard; not for ever, should Redis be away."""
        await self._subscription.wait_for(self._keys.news(scope), _READY_S)

    def end(self, scope: str, hear: Hear) -> None:
        """Call it no more."""
        hearers = self._hearers[scope]
        hearers.remove(hear)
        if not hearers:
            del self._hearers[scope]
            self._subscription.remove(self._keys.news(scope))

    async def close(self) -> None:
        """Listen no more."""
        await self._subscription.close()

    def _heard(self, message: bytes) -> None:
        try:
            event = _decoder.decode(message)
        except msgspec.DecodeError:
            return                       # of another version of longshore
        if not event.scope:
            self._hear_all(event)
        for hear in tuple(self._hearers.get(event.scope, ())):
            hear(event)

    def _ready(self) -> None:
        if self._was_ready:
            for scope, hearers in list(self._hearers.items()):
                for hear in tuple(hearers):
                    hear(Event(RESYNC, scope))
        self._was_ready = True
