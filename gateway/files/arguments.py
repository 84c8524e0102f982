"""Handles in tool arguments: finds them at the configured path and replaces them with paths for the upstream. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from longshore.gateway.files import handles
from longshore.gateway.files.slots import Slot
from longshore.gateway.wire.protocol_errors import ToolInputError
from longshore.shared.config import UploadConsumer
from longshore.shared.records import FileRecord
from longshore.shared.storage import layout

_MAX_HANDLES = 1000


@dataclass(frozen=True, slots=True)
class HandleSlot(Slot):
    """Position of a handle in decoded arguments."""

    handle: handles.Handle
    as_uri: bool

    def fill_path(self, path: PurePosixPath) -> None:
        """Replace the handle with `path`, as a `file://` URI if the adapter wants one."""
        self.fill(path.as_uri() if self.as_uri else str(path))


def find(
    arguments: dict[str, Any], adapter: UploadConsumer, *, schemes: tuple[str, ...], scope: str
) -> list[HandleSlot]:
    """Find every handle at the adapter's argument path. Other values stay unchanged.

    Raises ToolInputError for a malformed handle and for one of another scope.
    """
    found: list[HandleSlot] = []
    for slot in slots(arguments, adapter.file_path_argument.split(".")):
        text = slot.value
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
        found.append(HandleSlot(slot.container, slot.key, handle, bool(adapter.uri_prefix)))
        if len(found) > _MAX_HANDLES:
            raise ToolInputError(f"{adapter.file_path_argument} holds more than {_MAX_HANDLES} handles")
    return found


def slots(value: Any, path: list[str]) -> Iterator[Slot]:
    """Yield the leaves at `path`: in a list, a numeric segment is an index, any other applies to each item."""
    head, *rest = path
    if isinstance(value, list):
        if head.isdecimal():
            if int(head) < len(value):
                yield from _enter(value, int(head), rest)
        else:
            for item in value:
                yield from slots(item, path)
    elif isinstance(value, dict) and head in value:
        yield from _enter(value, head, rest)


def _enter(container: dict[str, Any] | list[Any], key: str | int, rest: list[str]) -> Iterator[Slot]:
    slot = Slot(container, key)
    if rest:
        yield from slots(slot.value, rest)
    elif isinstance(slot.value, list):
        yield from (Slot(slot.value, index) for index in range(len(slot.value)))
    else:
        yield slot


def path_of(record: FileRecord, root: PurePosixPath) -> PurePosixPath:
    """Return the path of a record's file for the upstream. `root` is the storage root as the upstream sees it."""
    return root.joinpath(*layout.parts_of(record))


def inject(arguments: dict[str, Any], dotted: str, make: Callable[[str], str]) -> str:
    """Set the argument at `dotted` to `make(value of the client, "" for none)`; missing objects are added.

    Returns the value. Raises ToolInputError if a parent on the path is not an object.
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
