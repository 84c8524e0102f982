"""Faults, which make a configuration unusable, and notices, which do not."""

from typing import Literal

import msgspec

from longshore.shared.errors import Refused


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One error in a configuration. Never contains the value of a secret."""

    text: str
    path: str = ""  # dotted, such as `core.auth.token` or `servers[0].id`; "" for the whole file
    line: int = 0   # 1-based; 0 if it concerns no line

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return place + (f"{self.path}: {self.text}" if self.path else self.text)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the file that has no effect, with the reason."""

    kind: Literal["later", "superseded"]
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.path}: {self.text}"


class ConfigError(Refused):
    """Refusal of a configuration. `faults` contains all its faults, in the order of the file."""

    reason = "bad_configuration"

    def __init__(self, faults: tuple[Fault, ...], *, source: str = "") -> None:
        self.faults = faults
        self.source = source
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        heading = f"{source or 'the configuration'} has {count}:"
        super().__init__("\n".join([heading, *(f"  {fault}" for fault in faults)]))
