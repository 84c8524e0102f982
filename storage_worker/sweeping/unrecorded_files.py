"""Finding files in storage that may have lost their record, and reading what a record says of them. Blocking.

Only folders of the shape `<uploads|artifacts>/sessions/<session>/<id>/` with one plain file in them can be
told apart from anything else that somebody put there. Links are never followed.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from longshore.shared.ids import is_id
from longshore.shared.storage.folders import Folders, open_regular
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS, UPLOADS
from longshore.shared.storage.media_types import sniff
from longshore.storage_worker.digest import Digest, read_through


@dataclass(frozen=True, slots=True)
class UnrecordedFile:
    """A folder that a record may stand for; without an id, something else in its place."""

    top: str                 # uploads or artifacts
    scope: str
    file_id: str
    changed_ns: int = 0      # when something was last put into the folder, by the volume's clock


@dataclass(frozen=True, slots=True)
class Contents:
    """The one file of a folder."""

    name: str
    media_type: str
    digest: Digest
    changed_ms: int          # by the volume's clock


def walk(folders: Folders) -> Iterator[UnrecordedFile]:
    """Every entry below the folders of sessions, whatever it is."""
    for top in (UPLOADS, ARTIFACTS):
        for scope in _listed(folders, (top, SESSIONS)):
            if not is_id(scope.name) or not scope.is_dir(follow_symlinks=False):
                yield UnrecordedFile(top, "", "")
                continue
            for entry in _listed(folders, (top, SESSIONS, scope.name)):
                if is_id(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield from _folder(top, scope.name, entry)
                else:
                    yield UnrecordedFile(top, scope.name, "")


def _folder(top: str, scope: str, entry: "os.DirEntry[str]") -> Iterator[UnrecordedFile]:
    with contextlib.suppress(FileNotFoundError):  # somebody has just removed it
        yield UnrecordedFile(top, scope, entry.name, entry.stat(follow_symlinks=False).st_mtime_ns)


def contents(folders: Folders, stray: UnrecordedFile) -> Contents | None:
    """The one plain file in the stray's folder, read through; None when that is not what is in it."""
    with folders.folder((stray.top, SESSIONS, stray.scope, stray.file_id)) as folder:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_file(follow_symlinks=False)) for entry in entries]
        if len(found) != 1 or not found[0][1] or not _is_text(found[0][0]):
            return None
        name = found[0][0]
        fd = open_regular(folder, name)
        try:
            digest = read_through(fd)
            changed_ms = os.fstat(fd).st_mtime_ns // 1_000_000
        finally:
            os.close(fd)
    return Contents(name=name, media_type=sniff(digest.head, name, ""), digest=digest, changed_ms=changed_ms)


def _listed(folders: Folders, parts: tuple[str, ...]) -> Iterator["os.DirEntry[str]"]:
    with contextlib.suppress(FileNotFoundError), folders.folder(parts) as folder, os.scandir(folder) as entries:
        yield from entries


def _is_text(name: str) -> bool:
    """Whether a record could hold it: names that are not UTF-8 come as lone surrogates."""
    try:
        _ = name.encode()
    except UnicodeEncodeError:
        return False
    return True
