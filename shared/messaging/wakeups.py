"""Wake-ups: events of this process that messages on one Redis channel set, each message naming an event."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from longshore.shared.redis.address import RedisAddress
from longshore.shared.redis.subscription import Subscription
from longshore.shared.tasks import Tasks

_READY_S = 1.0
_POLL_EVERY_S = 5.0          # a message may be lost with its connection


class Wakeups:
    """Events by name. It subscribes to the channel at the first use; `close` ends that."""

    def __init__(self, address: RedisAddress, channel: str, tasks: Tasks) -> None:
        self._address = address
        self._channel = channel
        self._tasks = tasks
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._subscription: Subscription | None = None

    @property
    def count(self) -> int:
        """Return the number of names with a registered event."""
        return len(self._events)

    @asynccontextmanager
    async def register(self, name: str) -> AsyncIterator[asyncio.Event]:
        """Yield an event that every message `name` sets inside the block, and every reconnection to Redis."""
        event = asyncio.Event()
        self._events[name].add(event)
        try:
            _ = await self._connect().await_ready(_READY_S)
            event.clear()
            yield event
        finally:
            self._events[name].discard(event)
            if not self._events[name]:
                del self._events[name]

    async def close(self) -> None:
        """End the subscription."""
        if self._subscription is not None:
            await self._subscription.close()

    def _connect(self) -> Subscription:
        if self._subscription is None:
            self._subscription = Subscription(
                self._address, [self._channel], self._tasks,
                on_message=lambda name: self._wake(name.decode()), on_ready=self._wake_all,
            )
        return self._subscription

    def _wake(self, name: str) -> None:
        for event in self._events.get(name, ()):
            event.set()

    def _wake_all(self) -> None:
        for name in self._events:
            self._wake(name)


async def await_wakeup(event: asyncio.Event) -> None:
    """Wait until `event` is set, at most five seconds, and clear it. The caller then checks the state in Redis."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_POLL_EVERY_S):
            _ = await event.wait()
    event.clear()
