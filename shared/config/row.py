"""One row of the table of keys: where a key is, what it holds, and how far longshore has come with it."""

from dataclasses import dataclass
from enum import Enum

from longshore.shared.config.kinds import Kind, Value


class Standing(Enum):
    """Whether a key has an effect in this version."""

    WORKS = "works"
    LATER = "later"            # only its default, or a value that turns the feature off, is taken
    SUPERSEDED = "superseded"  # longshore gives the guarantee anyway; taken with a warning


WORKS = Standing.WORKS
LATER = Standing.LATER
SUPERSEDED = Standing.SUPERSEDED


class Required(Enum):
    """The place of a default in a key that must be given."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


@dataclass(frozen=True)
class Row:
    """One key. To build a feature, change its LATER to WORKS: all else stays as it is."""

    path: str                       # `servers[].id`, `servers[].adapters[upload_consumer].tools`
    standing: Standing
    kind: Kind
    default: Value | Required
    note: str                       # what it does, for the reference
    off: tuple[Value, ...] = ()     # LATER: values besides the default that ask for nothing
    not_yet: tuple[Value, ...] = () # WORKS: values of the kind that do not work yet
    instead: str = ""               # SUPERSEDED: what gives the guarantee
    alias: str = ""                 # another name that the file may use for the last part of the path
    secret: bool = False            # never shown

    @property
    def name(self) -> str:
        """The last part of the path, as the file spells it."""
        return self.path.rsplit(".", 1)[-1]
