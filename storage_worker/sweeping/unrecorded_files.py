"""Finds files in storage that may have lost their record, and reads what a record says of them. Blocking.

Only folders of the form `<uploads|artifacts>/sessions/<session>/<id>/` with one plain file can be told apart from
anything else that somebody put there. Links are never followed.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from longshore.shared.ids import is_id
from longshore.shared.storage.folders import Folders, open_regular
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS, UPLOADS
from longshore.shared.storage.media_types import sniff
from longshore.storage_worker.digest import Digest, read_digest
from longshore.storage_worker.sweeping.entries import is_utf8, list_folder


@dataclass(frozen=True, slots=True)
class UnrecordedFile:
    """A folder that may have a record; without an id, an entry that cannot have one."""

    top: str                 # uploads or artifacts
    scope: str
    file_id: str
    changed_ns: int = 0      # when an entry was last put into the folder, by the volume's clock


@dataclass(frozen=True, slots=True)
class Contents:
    """The one file of a folder."""

    name: str
    media_type: str
    digest: Digest
    changed_ms: int          # by the volume's clock


def find_unrecorded(folders: Folders) -> Iterator[UnrecordedFile]:
    """Yield every entry below the folders of sessions, of whatever kind; with or without a record."""
    for top in (UPLOADS, ARTIFACTS):
        for scope in list_folder(folders, (top, SESSIONS)):
            if not is_id(scope.name) or not scope.is_dir(follow_symlinks=False):
                yield UnrecordedFile(top, "", "")
                continue
            for entry in list_folder(folders, (top, SESSIONS, scope.name)):
                if is_id(entry.name) and entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # just removed by another process
                        changed_ns = entry.stat(follow_symlinks=False).st_mtime_ns
                        yield UnrecordedFile(top, scope.name, entry.name, changed_ns)
                else:
                    yield UnrecordedFile(top, scope.name, "")


def read_contents(folders: Folders, file: UnrecordedFile) -> Contents | None:
    """Read the one plain file in the folder from end to end; None if the folder holds anything else."""
    with folders.folder((file.top, SESSIONS, file.scope, file.file_id)) as folder:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_file(follow_symlinks=False)) for entry in entries]
        if len(found) != 1 or not found[0][1] or not is_utf8(found[0][0]):
            return None
        name = found[0][0]
        fd = open_regular(folder, name)
        try:
            digest = read_digest(fd)
            changed_ms = os.fstat(fd).st_mtime_ns // 1_000_000
        finally:
            os.close(fd)
    return Contents(name=name, media_type=sniff(digest.head, name, ""), digest=digest, changed_ms=changed_ms)
