"""Checks a path that a tool named for its file, by its spelling alone. Pure, except `Root.of`.

Symbolic links on the way are refused later, component by component, when the file is opened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from longshore.shared.errors import Forbidden
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS, STAGING, STATE, UPLOADS

_PRIVATE_FOLDERS = frozenset({STATE, STAGING})
_SCOPED_FOLDERS = frozenset({UPLOADS, ARTIFACTS})


@dataclass(frozen=True, slots=True)
class Root:
    """A folder from which files may be captured, under each spelling that a tool may use for it."""

    path: Path
    spellings: tuple[tuple[str, ...], ...]
    is_storage: bool = False

    @classmethod
    def of(cls, path: Path, *, is_storage: bool = False) -> "Root":
        """Root for `path` as written and with its links resolved. Reads the links."""
        spellings = {spelling.parts[1:] for spelling in (path.absolute(), path.resolve())}
        return cls(path=path, spellings=tuple(spellings), is_storage=is_storage)


@dataclass(frozen=True, slots=True)
class AllowedPath:
    """A path below a root."""

    root: Root
    parts: tuple[str, ...]


def allowed_path(path: str, roots: Sequence[Root], scope: str) -> AllowedPath:
    """Split `path` at the root that holds it, the storage first. Raises Forbidden if `scope` may not capture it."""
    allowed = _split_root(path, roots)
    if allowed.root.is_storage:
        _check_storage(allowed.parts, scope)
    return allowed


def _split_root(path: str, roots: Sequence[Root]) -> AllowedPath:
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
    if top in _PRIVATE_FOLDERS:
        raise Forbidden("the file lies in a folder of longshore's own")
    if top in _SCOPED_FOLDERS and (len(parts) < 5 or parts[:3] != (top, SESSIONS, scope)):
        raise Forbidden("the file lies in a folder that is not this session's")
