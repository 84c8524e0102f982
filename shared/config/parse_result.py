"""Result of parsing a configuration file: values, lines, faults and notices, by the path of the key."""

from dataclasses import dataclass, field

from longshore.shared.config.faults import Fault, Notice
from longshore.shared.config.value_types import Value


@dataclass
class ParseResult:
    """Values by concrete path, such as `servers[0].id`. A key with a fault has no value."""

    values: dict[str, Value] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)    # of keys and sections that the file contains
    lengths: dict[str, int] = field(default_factory=dict)  # of lists of sections
    tags: dict[str, str] = field(default_factory=dict)     # `type` of an item, by the path of the item
    faults: list[Fault] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def fault(self, path: str, text: str, *, line: int | None = None) -> None:
        """Add a fault, on the line of `path` unless `line` is given."""
        self.faults.append(Fault(path=path, line=self.line(path) if line is None else line, text=text))

    def line(self, path: str) -> int:
        """Line of `path`, else of the nearest enclosing section; 0 if the file contains neither."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return 0

    def text(self, path: str) -> str | None:
        """Text at `path`; None if the value is null or has a fault."""
        value = self.values.get(path)
        return value if isinstance(value, str) else None

    def number(self, path: str) -> int | None:
        """Integer at `path`; None if the value is null or has a fault."""
        value = self.values.get(path)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def texts(self, path: str) -> tuple[str, ...]:
        """Items of the list of texts at `path`; empty if it has a fault."""
        value = self.values.get(path)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, tuple) else ()

    def is_on(self, path: str) -> bool:
        """True if the boolean at `path` is true."""
        return self.values.get(path) is True
