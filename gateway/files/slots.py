"""Positions in decoded JSON whose value can be replaced. Pure."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Slot:
    """Position of one value: its container and key."""

    container: dict[str, Any] | list[Any]
    key: Any                 # of the dict, or index in the list

    @property
    def value(self) -> Any:
        """Value at this position."""
        return self.container[self.key]

    def fill(self, value: str) -> None:
        """Replace the value."""
        self.container[self.key] = value
