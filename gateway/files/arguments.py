"""Handles in tool arguments: found by the configured path, replaced by what the upstream can open. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from longshore.gateway.files import handles
from longshore.gateway.wire.protocol_errors import ToolInputError
from longshore.shared.config import UploadConsumer
from longshore.shared.records import FileRecord
from longshore.shared.storage import layout

_MAX_HANDLES = 1000


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in decoded arguments that holds a handle, and how to fill it."""

    container: dict[str, Any] | list[Any]
    key: str | int
    handle: handles.Handle
    as_uri: bool

    @property
    def text(self) -> str:
        """What stands there now."""
        return str(self.container[self.key])  # type: ignore[index]

    def fill(self, path: PurePosixPath) -> None:
        """Replace the handle by `path`."""
        self.container[self.key] = path.as_uri() if self.as_uri else str(path)  # type: ignore[index]


def find(arguments: dict[str, Any], adapter: UploadConsumer, *, schemes: tuple[str, ...], scope: str) -> list[Slot]:
    """Every handle at the adapter's argument path. Values that are no handle stay as they are.

    Raises ToolInputError for a malformed handle and for one of another scope.
    """
    slots: list[Slot] = []
    for container, key in places(arguments, adapter.file_path_argument.split(".")):
        text = container[key]  # type: ignore[index]
        if not isinstance(text, str) or not handles.begins_with(text, schemes):
            continue
        handle = handles.parse(text, schemes)
        if handle is None:
            raise ToolInputError(
                f"{adapter.file_path_argument} holds a handle that is malformed; pass it as the upload returned it"
            )
        if handle.scope != scope:
            raise ToolInputError(
                f"{adapter.file_path_argument} holds a handle of another session; upload the file in this session"
            )
        slots.append(Slot(container, key, handle, bool(adapter.uri_prefix)))
        if len(slots) > _MAX_HANDLES:
            raise ToolInputError(f"{adapter.file_path_argument} holds more than {_MAX_HANDLES} handles")
    return slots


def places(value: Any, path: list[str]) -> Iterator[tuple[dict[str, Any] | list[Any], str | int]]:
    """Leaves at `path`: a list on the way is entered at a numeric segment, else in each of its items."""
    head, *rest = path
    if isinstance(value, list):
        if head.isdecimal():
            if int(head) < len(value):
                yield from _enter(value, int(head), rest)
        else:
            for item in value:
                yield from places(item, path)
    elif isinstance(value, dict) and head in value:
        yield from _enter(value, head, rest)


def _enter(
    container: dict[str, Any] | list[Any], key: str | int, rest: list[str]
) -> Iterator[tuple[dict[str, Any] | list[Any], str | int]]:
    value = container[key]  # type: ignore[index]
    if rest:
        yield from places(value, rest)
    elif isinstance(value, list):
        yield from ((value, index) for index in range(len(value)))
    else:
        yield container, key


def path_of(record: FileRecord, root: PurePosixPath) -> PurePosixPath:
    """Where the upstream finds the file of `record`. `root` is the storage root as it sees it."""
    return root.joinpath(*layout.parts_of(record))


def inject(arguments: dict[str, Any], dotted: str, make: Callable[[str], str]) -> str:
    """Set the argument at `dotted` to `make(what the client gave, "" for nothing)`; missing objects are added.

    Returns what was set. Raises ToolInputError when something on the way is not an object.
    """
    *parents, last = dotted.split(".")
    target = arguments
    for name in parents:
        inner = target.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ToolInputError(f"{dotted} cannot be set: {name} is not an object")
        target = inner
    given = target.get(last)
    if given is not None and not isinstance(given, str):
        raise ToolInputError(f"{dotted} must be a file name")
    target[last] = make(given or "")
    return str(target[last])
