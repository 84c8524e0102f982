"""What one reading of a file has found so far, key by key, before it is a Config."""

from dataclasses import dataclass, field

from longshore.shared.config.faults import Fault, Notice
from longshore.shared.config.value_types import Value


@dataclass
class ParseResult:
    """Values by concrete path, such as `servers[0].id`. A key with a fault has no value."""

    values: dict[str, Value] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)    # of what the file names
    lengths: dict[str, int] = field(default_factory=dict)  # of lists of sections
    tags: dict[str, str] = field(default_factory=dict)     # `type` of an item, by the item's path
    faults: list[Fault] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def fault(self, path: str, line: int, text: str) -> None:
        """Note one reason why the file cannot be used."""
        self.faults.append(Fault(path=path, line=line, text=text))

    def line(self, path: str) -> int:
        """Where `path` is in the file, or else the nearest section around it; 0 when none is there."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return 0

    def text(self, path: str) -> str | None:
        """The value at `path` where that is text; None when it is null, or has a fault."""
        value = self.values.get(path)
        return value if isinstance(value, str) else None

    def number(self, path: str) -> int | None:
        """The value at `path` where that is a number; None when it is null, or has a fault."""
        value = self.values.get(path)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def texts(self, path: str) -> tuple[str, ...]:
        """The items at `path` that are text; none when it has a fault."""
        value = self.values.get(path)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, tuple) else ()

    def is_on(self, path: str) -> bool:
        """Whether the switch at `path` is on."""
        return self.values.get(path) is True
