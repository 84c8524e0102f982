"""Which paths a tool may name as its file, by their spelling alone. Pure.

Links on the way are refused later, component by component, by whoever opens the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longshore.shared.errors import Forbidden
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS, STAGING, STATE, UPLOADS

_OWN = frozenset({STATE, STAGING})
_BY_SCOPE = frozenset({UPLOADS, ARTIFACTS})


@dataclass(frozen=True, slots=True)
class Root:
    """A folder from which files may be captured, under each spelling that a tool may use for it."""

    path: Path
    spellings: tuple[tuple[str, ...], ...]
    is_storage: bool = False


@dataclass(frozen=True, slots=True)
class AllowedPath:
    """A file below a root."""

    root: Root
    parts: tuple[str, ...]


def root_of(path: Path, *, is_storage: bool = False) -> Root:
    """`path` as it is written and as it is without links. Reads the links."""
    spellings = {spelling.parts[1:] for spelling in (path.absolute(), path.resolve())}
    return Root(path=path, spellings=tuple(spellings), is_storage=is_storage)


def place_of(path: str, roots: Sequence[Root], scope: str) -> AllowedPath:
    """Where `path` lies, storage first. Raises Forbidden for a place that `scope` has no business in."""
    place = _below_a_root(path, roots)
    if place.root.is_storage:
        _check_storage(place.parts, scope)
    return place


def _below_a_root(path: str, roots: Sequence[Root]) -> AllowedPath:
    if not path.startswith("/") or "\0" in path:
        raise Forbidden("the path is not absolute")
    parts = tuple(part for part in path.split("/") if part)
    if "." in parts or ".." in parts:
        raise Forbidden("the path holds . or ..")
    for root in sorted(roots, key=lambda root: not root.is_storage):
        for spelling in root.spellings:
            if parts[:len(spelling)] == spelling:
                return AllowedPath(root=root, parts=parts[len(spelling):])
    raise Forbidden("the file lies outside the storage that longshore shares with its upstreams")


def _check_storage(parts: tuple[str, ...], scope: str) -> None:
    if not parts:
        raise Forbidden("the path is a folder")
    top = parts[0].casefold()  # some volumes do not tell STATE from state
    if top in _OWN:
        raise Forbidden("the file lies in a folder of longshore's own")
    if top in _BY_SCOPE and (len(parts) < 5 or parts[:3] != (top, SESSIONS, scope)):
        raise Forbidden("the file lies in a folder that is not this session's")
