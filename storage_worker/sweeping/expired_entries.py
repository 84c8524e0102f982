"""Walking the storage volume for what may belong to nothing, an entry at a time. Blocking.

Only `staging/`, `uploads/sessions/` and `artifacts/sessions/` are looked at: nothing else below the root
is longshore's to delete. Links are entries like others, never followed.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from longshore.shared.storage.folders import Folders
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS, STAGING, UPLOADS
from longshore.shared.storage.moves import prune

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExpiredEntry:
    """An entry that is old enough to be removed if nothing knows it."""

    parts: Parts
    scope: str = ""          # "" where no record can stand for it
    file_id: str = ""


def walk(folders: Folders, old_before_ns: int) -> Iterator[ExpiredEntry]:
    """Every entry last changed before `old_before_ns` (the volume's clock); empty old folders go on the way."""
    for entry in _listed(folders, (STAGING,)):
        if _is_old(entry, old_before_ns):
            yield ExpiredEntry(parts=(STAGING, entry.name))
    for top in (UPLOADS, ARTIFACTS):
        for scope in _listed(folders, (top, SESSIONS)):
            if scope.is_dir(follow_symlinks=False):
                yield from _scope(folders, (top, SESSIONS, scope.name), old_before_ns)
                if _is_old(scope, old_before_ns):
                    prune(folders, (top, SESSIONS, scope.name))
            elif _is_old(scope, old_before_ns):
                yield ExpiredEntry(parts=(top, SESSIONS, scope.name))


def _scope(folders: Folders, parts: Parts, old_before_ns: int) -> Iterator[ExpiredEntry]:
    for entry in _listed(folders, parts):
        if _is_old(entry, old_before_ns):
            known = _is_text(parts[-1]) and _is_text(entry.name) and entry.is_dir(follow_symlinks=False)
            yield ExpiredEntry((*parts, entry.name), *((parts[-1], entry.name) if known else ()))


def _listed(folders: Folders, parts: Parts) -> Iterator["os.DirEntry[str]"]:
    with contextlib.suppress(FileNotFoundError), folders.folder(parts) as folder, os.scandir(folder) as entries:
        yield from entries


def _is_old(entry: "os.DirEntry[str]", old_before_ns: int) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime_ns < old_before_ns
    except FileNotFoundError:  # another worker was first
        return False


def _is_text(name: str) -> bool:
    """Whether Redis could know it: names that are not UTF-8 come as lone surrogates."""
    try:
        _ = name.encode()
    except UnicodeEncodeError:
        return False
    return True
