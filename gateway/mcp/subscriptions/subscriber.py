"""One client that listens for changes, and what waits to be told to it: not more than it can be expected to take."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

from longshore.gateway.wire.changes import Change, ChangeFilter
from longshore.shared.errors import SlowListener

_MOST_WAITING = 256


class Subscriber:
    """What one client wants to be told. It falls behind when more waits for it than it takes."""

    def __init__(self, wants: ChangeFilter) -> None:
        self.wants = wants
        self._waiting: dict[Change, None] = {}      # in the order in which they came
        self._wake = asyncio.Event()
        self._limit: asyncio.Timeout | None = None
        self._is_behind = False
        self._is_over = False

    def on_event(self, change: Change) -> None:
        """Let it know, if it wants to. What waits already is not said twice."""
        if self._is_behind or not self.wants.accepts(change) or change in self._waiting:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._is_behind = True
            if self._limit is not None:
                self._limit.reschedule(asyncio.get_running_loop().time())
            return
        self._waiting[change] = None
        self._wake.set()

    def end(self) -> None:
        """Nothing more is to be told."""
        self._is_over = True
        self._wake.set()

    async def changes(self) -> AsyncIterator[Change]:
        """What it is to be told, until `end`."""
        while not self._is_over:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                change = next(iter(self._waiting))
                del self._waiting[change]
                yield change

    async def keep_up(self, telling: Awaitable[None]) -> None:
        """Do `telling` for as long as the client takes what it is told. Raises SlowListener."""
        try:
            async with asyncio.timeout(0 if self._is_behind else None) as self._limit:
                await telling
        except TimeoutError:
            if self._limit is None or not self._limit.expired():
                raise
            raise SlowListener(
                f"more than {_MOST_WAITING} changes waited for this listener; listen again and list anew"
            ) from None
        finally:
            self._limit = None       # one that is over cannot be ended any more
