"""The only place that reads this host's clock. What falls due is decided by Redis' clock instead."""

import time


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def now_ns() -> int:
    """Nanoseconds since the epoch."""
    return time.time_ns()


def now_s() -> float:
    """Seconds since the epoch."""
    return time.time()


def monotonic_s() -> float:
    """Seconds from an arbitrary start, for measuring durations."""
    return time.monotonic()


def monotonic_ns() -> int:
    """Nanoseconds from the same start."""
    return time.monotonic_ns()
