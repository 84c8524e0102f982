"""Declaration of configuration keys: a key is a field of a section struct, annotated with a `Key`.

    max_size: Annotated[int | None, ByteSize(), Key("Bytes that all files may use. Null: no limit.")] = None

The field's type says whether null is accepted, its default is the key's default. The value type may be left out
where the field's type implies it: `bool`, `int` (0 or more), `float` (0 to 1), `str`, `Literal`, and tuples of them.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, TypeVar

from longshore.shared.config.value_types import Value

T = TypeVar("T")


class KeyClass(Enum):
    """Effect of a key in this version."""

    WORKS = "works"
    LATER = "later"            # not available yet: only its default, or a value that turns the feature off, is accepted
    SUPERSEDED = "superseded"  # no effect: longshore always provides the guarantee; accepted with a notice


@dataclass(frozen=True)
class Key:
    """Description and options of one key. To release a feature, remove its `later` and `off`."""

    description: str                 # for docs/configuration.md
    later: bool = False
    off: tuple[Value, ...] = ()      # later: values besides the default that turn the feature off
    not_yet: tuple[Value, ...] = ()  # values that are not available yet, of a key that works
    superseded_by: str = ""
    alias: str = ""                  # another name that the file may use
    secret: bool = False             # never shown

    @property
    def key_class(self) -> KeyClass:
        """Class of the key, derived from its options."""
        if self.superseded_by:
            return KeyClass.SUPERSEDED
        return KeyClass.LATER if self.later else KeyClass.WORKS


class Marker(Enum):
    """Annotations of fields without a `Key` of their own."""

    INHERITED = "inherited"
    NOT_IN_FILE = "not in file"


# Key of a server that overrides the key of the same name in `core` and has its value type and options.
Inherited = Annotated[T | None, Marker.INHERITED]
