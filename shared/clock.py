"""Clocks of this host. No other module reads them; due times are decided by Redis' clock instead."""

import time


def now_ms() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def now_ns() -> int:
    """Return nanoseconds since the epoch."""
    return time.time_ns()


def now_s() -> float:
    """Return seconds since the epoch."""
    return time.time()


def monotonic_s() -> float:
    """Return seconds from an arbitrary start, for measuring durations."""
    return time.monotonic()


def monotonic_ns() -> int:
    """Return nanoseconds from the same start."""
    return time.monotonic_ns()
