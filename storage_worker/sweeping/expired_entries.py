"""Finds entries of the storage volume that nobody has touched for the grace time. Blocking.

Looks only into `staging/`, `uploads/sessions/` and `artifacts/sessions/`: nothing else below the root is longshore's to
delete. Links are entries like others and are never followed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from longshore.shared.storage.folders import Folders
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS, STAGING, UPLOADS
from longshore.shared.storage.moves import prune
from longshore.storage_worker.sweeping.entries import is_utf8, list_folder

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExpiredEntry:
    """An entry that is old enough to be removed unless Redis has a record of it."""

    parts: Parts
    scope: str = ""          # "" if it cannot have a record
    file_id: str = ""


def find_expired(folders: Folders, old_before_ns: int) -> Iterator[ExpiredEntry]:
    """Yield entries last changed before `old_before_ns` by the volume's clock; remove empty old folders on the way."""
    for entry in list_folder(folders, (STAGING,)):
        if _is_old(entry, old_before_ns):
            yield ExpiredEntry(parts=(STAGING, entry.name))
    for top in (UPLOADS, ARTIFACTS):
        for scope in list_folder(folders, (top, SESSIONS)):
            if scope.is_dir(follow_symlinks=False):
                yield from _find_in_scope(folders, (top, SESSIONS, scope.name), old_before_ns)
                if _is_old(scope, old_before_ns):
                    prune(folders, (top, SESSIONS, scope.name))
            elif _is_old(scope, old_before_ns):
                yield ExpiredEntry(parts=(top, SESSIONS, scope.name))


def _find_in_scope(folders: Folders, parts: Parts, old_before_ns: int) -> Iterator[ExpiredEntry]:
    for entry in list_folder(folders, parts):
        if _is_old(entry, old_before_ns):
            may_have_record = is_utf8(parts[-1]) and is_utf8(entry.name) and entry.is_dir(follow_symlinks=False)
            yield ExpiredEntry((*parts, entry.name), *((parts[-1], entry.name) if may_have_record else ()))


def _is_old(entry: "os.DirEntry[str]", old_before_ns: int) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime_ns < old_before_ns
    except FileNotFoundError:  # another worker was first
        return False
