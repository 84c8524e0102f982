"""Reader of one event stream of an upstream, in a task of its own."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from longshore.gateway.mcp.subscriptions.upstream_feed import FeedOwner
from longshore.shared.tasks import Tasks


class StreamReader:
    """Task that reads a stream, and its state."""

    def __init__(self, owner: FeedOwner) -> None:
        self.is_over = False
        self.is_ready = asyncio.Event()      # the stream is open, or over
        self._owner = owner
        self._task: asyncio.Task[None] | None = None

    def start(self, tasks: Tasks, read: Coroutine[None, None, None], *, name: str) -> None:
        """Start the task. Its end is the end of the stream."""
        self._task = tasks.start(read, name=name)
        self._task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self.is_over = True
        self.is_ready.set()
        self._owner.on_closed()

    async def stop(self) -> None:
        """Cancel the task and wait for its end."""
        if self._task is not None:
            self._task.remove_done_callback(self._on_done)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
