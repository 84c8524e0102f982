"""Bringing the file that a tool wrote into its artifact's folder. Blocking; errors are OSError and the family.

`adopt` keeps a file that lies there already, `copy` copies one from elsewhere (a tool's own file is never
moved or deleted), `take` moves bytes that the gateway staged, `bring` moves one out of another artifact's folder.
Each may run again after being broken off. What they brought in is to be synced before its record is committed.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from longshore.shared.errors import NotFound
from longshore.shared.ids import new_id
from longshore.shared.storage.folders import Folders, open_regular
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS, safe_name, staging_parts
from longshore.shared.storage.media_types import extension_for, sniff
from longshore.shared.storage.moves import move
from longshore.storage_worker.digest import Digest, read_through

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Captured:
    """A file in its artifact's folder."""

    name: str
    stored_name: str
    media_type: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class ArtifactFolder:
    """One artifact's folder and what is known of its file."""

    folders: Folders         # of storage.root
    scope: str
    artifact_id: str
    name: str                # display name, perhaps without extension
    declared: str = ""       # media type

    @property
    def folder(self) -> Parts:
        """The artifact's own folder."""
        return (ARTIFACTS, SESSIONS, self.scope, self.artifact_id)

    def adopt(self, file_name: str) -> Captured:
        """Keep the file that the tool wrote into the artifact's folder, under the name it was given or one
        that only adds an extension. Raises NotFound."""
        with self.folders.folder(self.folder) as folder:
            found, fd = _open_given_or_extended(folder, file_name)
            try:
                self.folders.set_file_mode(fd)
                captured = self._captured(read_through(fd), found)
                if captured.stored_name != found and _is_taken(folder, captured.stored_name, by_other_than=fd):
                    captured = replace(captured, stored_name=found)
                elif captured.stored_name != found:
                    with contextlib.suppress(FileNotFoundError):  # a run beside this one renamed it
                        os.rename(found, captured.stored_name, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                os.close(fd)
        return captured

    def adopt_only(self) -> Captured:
        """Keep the one plain file in the artifact's folder, whatever its name. Raises NotFound for none or several."""
        return self.adopt(self._only_file())

    def copy(self, source: int, found_name: str) -> Captured:
        """Copy the open file `source`, found elsewhere under this name."""
        return self._through_staging(lambda sink: read_through(source, sink), found_name)

    def bring(self, folder: Parts, file_name: str) -> Captured:
        """Move a file in that the tool wrote into the folder of another artifact of its call. Raises NotFound."""
        source = (*folder, file_name)
        try:
            fd = self.folders.open_file(source)
        except FileNotFoundError:       # a run beside this one has moved it
            return self.adopt_only()
        try:
            captured = self._captured(read_through(fd), file_name)
        finally:
            os.close(fd)
        move(self.folders, [(source, (*self.folder, captured.stored_name))])
        return captured

    def take(self, staged_name: str) -> Captured:
        """Move staged bytes in; bytes that an earlier run moved in are found there."""
        staged = staging_parts(staged_name)
        try:
            fd = self.folders.open_file(staged)
        except FileNotFoundError:
            return self.adopt_only()
        try:
            captured = self._captured(read_through(fd), self.name)
        finally:
            os.close(fd)
        move(self.folders, [(staged, (*self.folder, captured.stored_name))])
        return captured

    def _through_staging(self, fill: Callable[[int], Digest], found_name: str) -> Captured:
        staged = staging_parts(f"copy-{new_id()}")
        sink = self.folders.create_file(staged)
        try:
            captured = self._captured(fill(sink), found_name)
            move(self.folders, [(staged, (*self.folder, captured.stored_name))])
        except BaseException:
            self.folders.unlink(staged)
            raise
        finally:
            os.close(sink)
        return captured

    def _captured(self, digest: Digest, found_name: str) -> Captured:
        name = self.name or found_name or "artifact"
        media_type = sniff(digest.head, name if "." in name.strip(".") else found_name, self.declared)
        if "." not in name.strip("."):
            name += os.path.splitext(found_name)[1] or extension_for(media_type)
        return Captured(name=name, stored_name=safe_name(name), media_type=media_type, digest=digest)

    def plain_files(self) -> list[str]:
        """The names of the plain files in the artifact's folder, in order. None where it is not there."""
        try:
            with self.folders.folder(self.folder) as folder, os.scandir(folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def _only_file(self) -> str:
        names = self.plain_files()
        if len(names) != 1:
            raise NotFound("the file is not there")
        return names[0]


def _is_taken(folder: int, name: str, *, by_other_than: int) -> bool:
    """Whether something else than the open file has this name."""
    try:
        found, own = os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(by_other_than)
    except FileNotFoundError:
        return False
    return not os.path.samestat(found, own)


def _open_given_or_extended(folder: int, name: str) -> tuple[str, int]:
    try:
        return name, open_regular(folder, name)
    except FileNotFoundError:
        with os.scandir(folder) as entries:
            extended = [entry.name for entry in entries if os.path.splitext(entry.name)[0] == name]
        if len(extended) != 1:
            raise NotFound("the file is not there") from None
        return extended[0], open_regular(folder, extended[0])
