"""Background tasks. No other module starts one: each is referenced until it is done, and its failure is logged."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import structlog

from longshore.shared import tracing

log = structlog.get_logger(__name__)


class Tasks:
    """Set of background tasks that end together. Built at start-up, closed at shutdown."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], *, name: str, keeps_trace: bool = False) -> asyncio.Task[Any]:
        """Run `work` until it ends or `close` cancels it; an exception is logged, never lost.

        With `keeps_trace` its spans belong to the current trace.
        """
        context = contextvars.copy_context() if keeps_trace else tracing.detached_context()
        task = asyncio.create_task(work, name=name, context=context)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> None:
        """Start `work` without keeping its task."""
        _ = self.start(work, name=name)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("background_task_failed", task=task.get_name(), exc_info=failure)

    async def close(self) -> None:
        """Cancel all running tasks and wait for their ends."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
