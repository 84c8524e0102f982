"""Bounded queue of items to export: its own thread sends them; what cannot be sent is dropped and counted.

The SDK's own processors drop without counting, and wait for a hanging collector longer than configured.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import Counter

from longshore.shared.clock import monotonic_s

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Size of the queue and pace of the exports."""

    max_waiting: int    # items
    batch_size: int     # items of one export
    every_s: float


class Batches(Generic[T]):
    """Export queue of one signal. `put` may be called from any thread and never waits."""

    def __init__(self, export: Callable[[list[T]], bool], bounds: Bounds, dropped: Counter, *, name: str) -> None:
        self._export = export
        self._batch_size = min(bounds.batch_size, bounds.max_waiting)
        self._max_waiting = bounds.max_waiting
        self._every_s = bounds.every_s
        self._dropped = dropped
        self._waiting: deque[T] = deque()
        self._woken = threading.Event()
        self._closing = False
        self._abandoned = False
        self._exporting = 0
        self._thread = threading.Thread(target=self._run, name=f"otlp_{name}", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Queue `item` for export, or count it as dropped when the queue is full or closed."""
        if self._closing or len(self._waiting) >= self._max_waiting:
            self._dropped.inc()
            return
        self._waiting.append(item)
        if len(self._waiting) >= self._batch_size:
            self._woken.set()

    def count_lost(self) -> None:
        """Count an item that could not be created."""
        self._dropped.inc()

    def close(self, *, until_s: float, flush: bool) -> None:
        """Export the queue until the monotonic time `until_s`, then count the rest as dropped. Blocks until then."""
        self._closing = True
        if not flush:
            self._drop()
        self._woken.set()
        self._thread.join(max(0.0, until_s - monotonic_s()))
        if self._thread.is_alive():
            self._abandoned = True           # the process ends: the export in progress may never arrive
            self._dropped.inc(self._exporting)
        self._drop()

    def _drop(self) -> None:
        self._dropped.inc(len(self._waiting))
        self._waiting.clear()

    def _run(self) -> None:
        while not self._closing:
            self._woken.wait(self._every_s)
            self._woken.clear()
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._waiting:
            batch: list[T] = []
            try:
                while len(batch) < self._batch_size:
                    batch.append(self._waiting.popleft())
            except IndexError:
                pass        # fewer items, or `close` has dropped them
            self._exporting = len(batch)
            if batch and not self._send(batch) and not self._abandoned:
                self._dropped.inc(len(batch))
            self._exporting = 0

    def _send(self, batch: list[T]) -> bool:
        try:
            return self._export(batch)
        except Exception:  # noqa: BLE001  (the thread survives any error of an exporter; the loss is counted)
            return False
