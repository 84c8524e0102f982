"""When a child that ended is started again, and when that is given up. Pure."""

from dataclasses import dataclass

_CANNOT_WORK = 2        # exit status of a wrong configuration or command line
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_STEADY_S = 10.0        # whoever lived that long is not in a crash loop
_MOST_IN_A_ROW = 5


@dataclass
class Restarts:
    """The crashes of one child since it last ran steadily."""

    in_a_row: int = 0

    def pause_s(self, status: int, *, lived_s: float) -> float | None:
        """Seconds to wait before the next start; None when another start would not help."""
        if status == _CANNOT_WORK:
            return None
        self.in_a_row = 1 if lived_s >= _STEADY_S else self.in_a_row + 1
        if self.in_a_row > _MOST_IN_A_ROW:
            return None
        return min(_FIRST_PAUSE_S * 2.0 ** (self.in_a_row - 1), _LONGEST_PAUSE_S)
