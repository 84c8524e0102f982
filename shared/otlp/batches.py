"""What waits to be exported: bounded, sent by a thread of its own, dropped and counted when it cannot be.

The SDK's own processors drop without counting, and wait for a collector that hangs longer than they are told.
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
    """How much waits and how it is sent."""

    waiting: int        # items
    together: int       # items of one export
    every_s: float


class Batches(Generic[T]):
    """Collects items of one signal. `put` may be called from any thread and never waits."""

    def __init__(self, export: Callable[[list[T]], bool], bounds: Bounds, dropped: Counter, *, name: str) -> None:
        self._export = export
        self._together = min(bounds.together, bounds.waiting)
        self._waiting_most = bounds.waiting
        self._every_s = bounds.every_s
        self._dropped = dropped
        self._waiting: deque[T] = deque()
        self._woken = threading.Event()
        self._closing = False
        self._given_up = False
        self._under_way = 0
        self._thread = threading.Thread(target=self._run, name=f"otlp_{name}", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Have `item` exported, or count it as dropped when too many wait or all has ended."""
        if self._closing or len(self._waiting) >= self._waiting_most:
            self._dropped.inc()
            return
        self._waiting.append(item)
        if len(self._waiting) >= self._together:
            self._woken.set()

    def lose(self) -> None:
        """Count an item that could not even be made."""
        self._dropped.inc()

    def close(self, *, until_s: float, flush: bool) -> None:
        """Send what waits until the monotonic time `until_s`, then count the rest as dropped. Blocks until then."""
        self._closing = True
        if not flush:
            self._drop()
        self._woken.set()
        self._thread.join(max(0.0, until_s - monotonic_s()))
        if self._thread.is_alive():
            self._given_up = True           # the process ends: what is under way may never arrive
            self._dropped.inc(self._under_way)
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
                while len(batch) < self._together:
                    batch.append(self._waiting.popleft())
            except IndexError:
                pass        # fewer than that, or `close` has dropped them
            self._under_way = len(batch)
            if batch and not self._sent(batch) and not self._given_up:
                self._dropped.inc(len(batch))
            self._under_way = 0

    def _sent(self, batch: list[T]) -> bool:
        try:
            return self._export(batch)
        except Exception:  # noqa: BLE001  (whatever an exporter does, its thread goes on; the loss is counted)
            return False
