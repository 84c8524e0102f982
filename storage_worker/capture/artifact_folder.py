"""Puts the file that a tool wrote into its artifact's folder. Blocking; raises OSError and our own errors.

`keep_file` keeps a file that is in the folder already, `copy_in` copies one from elsewhere (a tool's own file is never
moved or deleted), `move_staged` moves bytes that the gateway staged, `move_from` moves a file out of the folder of
another artifact. Each can be repeated after an interruption. The caller syncs the file before it commits the record.
"""

import contextlib
import os
from dataclasses import dataclass, replace

from longshore.shared.errors import NotFound
from longshore.shared.ids import new_id
from longshore.shared.storage.folders import Folders, open_regular
from longshore.shared.storage.layout import artifact_parts, safe_name, staging_parts
from longshore.shared.storage.media_types import extension_for, sniff
from longshore.shared.storage.moves import move
from longshore.storage_worker.digest import Digest, read_digest

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
    declared_type: str = ""

    @property
    def parts(self) -> Parts:
        """Path of the folder below `storage.root`."""
        return artifact_parts(self.scope, self.artifact_id, "")[:-1]

    def keep_file(self, file_name: str) -> Captured:
        """Keep a file that the tool wrote into the folder, as `file_name` or with an extension added to it.

        Raises NotFound.
        """
        with self.folders.folder(self.parts) as folder:
            found, fd = _open_given_or_extended(folder, file_name)
            try:
                self.folders.set_file_mode(fd)
                captured = self._describe(read_digest(fd), found)
                if captured.stored_name != found and _is_taken(folder, captured.stored_name, by_other_than=fd):
                    captured = replace(captured, stored_name=found)
                elif captured.stored_name != found:
                    with contextlib.suppress(FileNotFoundError):  # a concurrent run renamed it
                        os.rename(found, captured.stored_name, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                os.close(fd)
        return captured

    def keep_only_file(self) -> Captured:
        """Keep the only plain file in the folder, whatever its name. Raises NotFound for none or several."""
        names = self.plain_files()
        if len(names) != 1:
            raise NotFound("the file is not there")
        return self.keep_file(names[0])

    def copy_in(self, source: int, found_name: str) -> Captured:
        """Copy the open file `source`, which was found elsewhere as `found_name`."""
        staged = staging_parts(f"copy-{new_id()}")
        sink = self.folders.create_file(staged)
        try:
            captured = self._describe(read_digest(source, copy_to=sink), found_name)
            move(self.folders, [(staged, (*self.parts, captured.stored_name))])
        except BaseException:
            self.folders.unlink(staged)
            raise
        finally:
            os.close(sink)
        return captured

    def move_from(self, folder: Parts, file_name: str) -> Captured:
        """Move a file that the tool wrote into the folder of another artifact of its call. Raises NotFound."""
        return self._move_in((*folder, file_name), file_name)

    def move_staged(self, staged_name: str) -> Captured:
        """Move staged bytes in. Raises NotFound."""
        return self._move_in(staging_parts(staged_name), self.name)

    def plain_files(self) -> list[str]:
        """Sorted names of the plain files in the folder; empty if there is no folder."""
        try:
            with self.folders.folder(self.parts) as folder, os.scandir(folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def _move_in(self, source: Parts, found_name: str) -> Captured:
        try:
            fd = self.folders.open_file(source)
        except FileNotFoundError:       # an earlier or concurrent run has moved it
            return self.keep_only_file()
        try:
            captured = self._describe(read_digest(fd), found_name)
        finally:
            os.close(fd)
        move(self.folders, [(source, (*self.parts, captured.stored_name))])
        return captured

    def _describe(self, digest: Digest, found_name: str) -> Captured:
        name = self.name or found_name or "artifact"
        media_type = sniff(digest.head, name if "." in name.strip(".") else found_name, self.declared_type)
        if "." not in name.strip("."):
            name += os.path.splitext(found_name)[1] or extension_for(media_type)
        return Captured(name=name, stored_name=safe_name(name), media_type=media_type, digest=digest)


def _is_taken(folder: int, name: str, *, by_other_than: int) -> bool:
    """True if another file than the open one has this name."""
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
