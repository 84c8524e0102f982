"""Restart policy of a child process: delays after crashes, and when to stop. Pure."""

from dataclasses import dataclass

_WRONG_USAGE = 2        # exit status of a wrong configuration or command line
_MIN_DELAY_S = 0.2
_MAX_DELAY_S = 5.0
_STEADY_S = 10.0        # after this time a crash does not count as one of a loop
_MAX_IN_A_ROW = 5


@dataclass
class RestartPolicy:
    """Crashes of one child process in a row."""

    in_a_row: int = 0

    def next_delay_s(self, status: int, *, lived_s: float) -> float | None:
        """Delay before the next start, in seconds; None if another start would not help."""
        if status == _WRONG_USAGE:
            return None
        self.in_a_row = 1 if lived_s >= _STEADY_S else self.in_a_row + 1
        if self.in_a_row > _MAX_IN_A_ROW:
            return None
        return min(_MIN_DELAY_S * 2.0 ** (self.in_a_row - 1), _MAX_DELAY_S)
