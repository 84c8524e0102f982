"""Streams that stand for as long as their client wishes: ended in good order when this gateway drains.

A client opens such a stream again elsewhere; waiting for it would hold the process for its whole grace time.
"""

import asyncio
import contextlib
from collections.abc import Awaitable


class Standing:
    """Every standing stream of this process. Built once at start-up."""

    def __init__(self) -> None:
        self._held: set[asyncio.Timeout] = set()
        self._ended = False

    @property
    def count(self) -> int:
        """Streams open now."""
        return len(self._held)

    async def hold(self, work: Awaitable[None]) -> None:
        """Do `work` until it ends by itself or `end` is called, which ends it without an error."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._ended else None) as limit:
                self._held.add(limit)
                try:
                    await work
                finally:
                    self._held.discard(limit)

    def end(self) -> None:
        """End every stream, and each that is still to come, at once."""
        self._ended = True
        now_s = asyncio.get_running_loop().time()
        for limit in self._held:
            limit.reschedule(now_s)
