"""Backoff: delays between attempts that fail in a row."""


class Backoff:
    """Schedule of delays in seconds; the last one repeats."""

    def __init__(self, *delays_s: float) -> None:
        self._delays_s = delays_s

    def delay_s(self, failures: int) -> float:
        """Return the delay after this many failures in a row, the first one for 0 as well."""
        return self._delays_s[min(max(failures, 1), len(self._delays_s)) - 1]
