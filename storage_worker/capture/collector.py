"""Captures the files that one tool call wrote: each becomes an artifact of its own. Blocking.

Every file in the folder of the injected path belongs to the call, whatever its name: nobody else knows that folder.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from longshore.shared.errors import Forbidden, Refused
from longshore.shared.jobs import MAX_FILES, FinaliseArtifact
from longshore.shared.storage.errors import error_of_os
from longshore.shared.storage.folders import Folders
from longshore.shared.storage.layout import artifact_parts
from longshore.shared.storage.moves import remove_folder, sync
from longshore.storage_worker.capture.artifact_folder import ArtifactFolder, Captured
from longshore.storage_worker.capture.path_policy import AllowedPath, Root
from longshore.storage_worker.capture.plan import FolderPlan, OwnFile, StagedFile, Step, plan_candidates, plan_folder

_WHERE = {"injected": "at the path given to the tool", "located": "at a path that the tool named", "staged": "embedded"}
_TOO_MANY = f"of one call {MAX_FILES} files are kept at most"


class OutputCollector:
    """Captures the files of one order, in the order of the plan. Run once."""

    def __init__(self, folders: Folders, order: FinaliseArtifact, capture_roots: Sequence[Path]) -> None:
        self.captured: dict[str, Captured] = {}      # by artifact id
        self.refusals: list[str] = []                # of candidates, fit for a caller's eyes
        self.sure_refusals: list[str] = []           # those to report although something else was captured
        self._folders = folders
        self._order = order
        self._roots = [Root.of(folders.root, is_storage=True), *map(Root.of, capture_roots)]
        self._copied: dict[tuple[int, int], str] = {}    # artifact ids, by device and inode of the copied file

    def run(self) -> None:
        """Capture the files, durable when this returns. Raises Unavailable and DiskFull; no copy is left then."""
        try:
            self._capture_candidates()
            if (self.captured or self._order.is_last) and any(c.source == "injected" for c in self._order.candidates):
                self._capture_folder()
            self._sync()
        except BaseException:
            for artifact_id in self._copied.values():    # another run can copy again; a full volume needs the room
                remove_folder(self._folders, self._folder_of(artifact_id).parts)
            raise

    def _sync(self) -> None:
        files = [
            artifact_parts(self._order.scope, artifact_id, captured.stored_name)
            for artifact_id, captured in self.captured.items()
        ]
        try:
            sync(self._folders, files)
        except OSError as err:
            self.refusals.append(f"changed while it was captured: {_refusal(err)}")
            self.captured.clear()

    def _capture_candidates(self) -> None:
        for group in plan_candidates(self._order, self._roots):
            for step in group:
                self._capture_candidate(step)
            if self.captured:
                return

    def _capture_candidate(self, step: Step) -> None:
        if step.artifact_id in self.captured:            # several candidates may name the same file
            return
        try:
            if len(self.captured) >= MAX_FILES:
                raise Forbidden(_TOO_MANY)
            self._capture(step)
        except (Refused, OSError) as err:
            sentence = f"{_WHERE[step.candidate.source]}: {_refusal(err)}"
            self.refusals.append(sentence)
            if step.candidate.is_sure:
                self.sure_refusals.append(sentence)

    def _capture(self, step: Step) -> None:
        folder = self._folder_of(step.artifact_id, step.candidate.name, step.candidate.media_type)
        match step.source:
            case StagedFile(name):
                self.captured[step.artifact_id] = folder.move_staged(name)
            case OwnFile(name):
                self.captured[step.artifact_id] = folder.keep_file(name)
            case AllowedPath():
                self._copy(step.source, folder)
            case Forbidden():
                raise step.source

    def _copy(self, path: AllowedPath, folder: ArtifactFolder) -> None:
        # The modes do not matter: nothing is created below the source's root.
        source = Folders(path.root.path, dir_mode=0o700, file_mode=0o600).open_file(path.parts)
        try:
            stat = os.fstat(source)
            if stat.st_ctime_ns < self._order.not_before_ns:
                raise Forbidden("the file is older than the call that names it")
            inode = (stat.st_dev, stat.st_ino)
            if inode not in self._copied:
                self.captured[folder.artifact_id] = folder.copy_in(source, path.parts[-1])
                self._copied[inode] = folder.artifact_id
        finally:
            os.close(source)

    def _capture_folder(self) -> None:
        """Capture the files that the tool wrote beside the injected path, under names of its own."""
        own = self._folder_of(self._order.artifact_id)
        plan = self._plan_folder(own)
        if plan.own_file is not None:
            with ignore_refusals():
                self.captured[own.artifact_id] = own.keep_file(plan.own_file)
        moves = dict(plan.moves)
        for artifact_id in self._order.spare_ids:
            with ignore_refusals():      # the file is gone again, or is no plain file any more
                if artifact_id in plan.moved:
                    self.captured[artifact_id] = self._folder_of(artifact_id).keep_only_file()
                elif artifact_id in moves:
                    self.captured[artifact_id] = self._folder_of(artifact_id).move_from(own.parts, moves[artifact_id])
        if plan.left_out:
            self.sure_refusals.append(f"{plan.left_out} more beside the path given to the tool: {_TOO_MANY}")

    def _plan_folder(self, own: ArtifactFolder) -> FolderPlan:
        files: list[str] = []
        with ignore_refusals():
            files = own.plain_files()
        spare: dict[str, list[str]] = {}
        for artifact_id in self._order.spare_ids:
            spare[artifact_id] = self._folder_of(artifact_id).plain_files()
            if list(spare.values()).count([]) > len(files):      # as many empty ones as can be needed
                break
        kept = self.captured.get(own.artifact_id)
        return plan_folder(files, spare, kept=kept.stored_name if kept else None, captured=len(self.captured))

    def _folder_of(self, artifact_id: str, name: str = "", declared_type: str = "") -> ArtifactFolder:
        return ArtifactFolder(self._folders, self._order.scope, artifact_id, name, declared_type)


@contextmanager
def ignore_refusals() -> Iterator[None]:
    """Best effort: ignore Refused and OSError for files that no candidate names; Unavailable propagates."""
    try:
        yield
    except (Refused, OSError) as err:
        _ = _refusal(err)


def _refusal(err: Refused | OSError) -> Refused:
    """Refusal that tells the caller why a file was not captured. Raises `err` itself if a retry may succeed."""
    found = error_of_os(err) if isinstance(err, OSError) else err
    if not isinstance(found, Refused):
        raise found from err
    return found
