"""Subscriber: one client's filter and its queue of changes, which is bounded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

from longshore.gateway.wire.changes import Change, ChangeFilter
from longshore.shared.errors import SlowListener

_MAX_QUEUED = 256


class Subscriber:
    """Subscription of one client. It is too slow when more changes are queued than the limit."""

    def __init__(self, change_filter: ChangeFilter) -> None:
        self.filter = change_filter
        self._queue: dict[Change, None] = {}        # in order of arrival
        self._wake = asyncio.Event()
        self._timeout: asyncio.Timeout | None = None
        self._is_too_slow = False
        self._is_over = False

    def on_change(self, change: Change) -> None:
        """Queue the change if the filter accepts it and it is not queued already."""
        if self._is_too_slow or not self.filter.accepts(change) or change in self._queue:
            return
        if len(self._queue) >= _MAX_QUEUED:
            self._is_too_slow = True
            if self._timeout is not None:
                self._timeout.reschedule(asyncio.get_running_loop().time())
            return
        self._queue[change] = None
        self._wake.set()

    def end(self) -> None:
        """End `changes`."""
        self._is_over = True
        self._wake.set()

    async def changes(self) -> AsyncIterator[Change]:
        """Yield the changes, until `end`."""
        while not self._is_over:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                change = next(iter(self._queue))
                del self._queue[change]
                yield change

    async def send_changes(self, sending: Awaitable[None]) -> None:
        """Await `sending`, which sends `changes` to the client. Raises SlowListener when the client is too slow."""
        try:
            async with asyncio.timeout(0 if self._is_too_slow else None) as self._timeout:
                await sending
        except TimeoutError:
            if self._timeout is None or not self._timeout.expired():
                raise
            raise SlowListener(
                f"more than {_MAX_QUEUED} changes waited for this listener; listen again and list anew"
            ) from None
        finally:
            self._timeout = None     # one that is over cannot be rescheduled
