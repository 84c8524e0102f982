"""All the files that one call left, brought in: each becomes an artifact of its own. Blocking.

What lies in the folder of the injected path is the call's, whatever its name: nobody else knows that folder.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from longshore.shared.errors import Forbidden, NotFound, Refused
from longshore.shared.jobs import MAX_FILES, Candidate, FinaliseArtifact
from longshore.shared.storage.errors import error_of_os
from longshore.shared.storage.folders import Folders
from longshore.shared.storage.layout import artifact_parts
from longshore.shared.storage.moves import remove_folder, sync
from longshore.storage_worker.capture.artifact_folder import ArtifactFolder, Captured
from longshore.storage_worker.capture.path_policy import AllowedPath, place_of, root_of

_WHERE = {"injected": "at the path given to the tool", "located": "at a path that the tool named", "staged": "embedded"}
_TOO_MANY = f"of one call {MAX_FILES} files are kept at most"


class OutputCollector:
    """The files of one order, in the order in which they were searched for. Run once."""

    def __init__(self, folders: Folders, order: FinaliseArtifact, capture_roots: Sequence[Path]) -> None:
        self.captured: dict[str, Captured] = {}      # by artifact id
        self.refusals: list[str] = []                # of candidates, fit for a caller's eyes
        self.sure_refusals: list[str] = []           # those that matter where something else was captured
        self._folders = folders
        self._order = order
        self._storage = root_of(folders.root, is_storage=True)
        self._roots = [self._storage, *map(root_of, capture_roots)]
        self._copied: set[tuple[int, int]] = set()   # device and inode
        self._copies: list[str] = []                 # artifact ids

    def run(self) -> None:
        """Bring in what is there, durable when this returns. Raises Unavailable, DiskFull; no copy is left then."""
        try:
            self._search()
            self._sync()
        except BaseException:
            for artifact_id in self._copies:     # which another run can make again; a full volume needs the room
                remove_folder(self._folders, self._capture(artifact_id).folder)
            raise

    def _sync(self) -> None:
        places = [
            artifact_parts(self._order.scope, artifact_id, captured.stored_name)
            for artifact_id, captured in self.captured.items()
        ]
        try:
            sync(self._folders, places)
        except OSError as err:
            self.refusals.append(f"changed while it was captured: {_refusal(err)}")
            self.captured.clear()

    def _search(self) -> None:
        for rank, candidates in groupby(sorted(self._order.candidates, key=_rank), key=_rank):
            if rank and self.captured:
                break
            for candidate in candidates:
                self._try(candidate)
        if (self.captured or self._order.is_last) and any(c.source == "injected" for c in self._order.candidates):
            self._beside()

    def _try(self, candidate: Candidate) -> None:
        if (candidate.artifact_id or self._order.artifact_id) in self.captured:
            return                                   # one of several ways to the same
        try:
            if len(self.captured) >= MAX_FILES:
                raise Forbidden(_TOO_MANY)
            self._take(candidate)
        except (Refused, OSError) as err:
            sentence = f"{_WHERE[candidate.source]}: {_refusal(err)}"
            self.refusals.append(sentence)
            if candidate.is_sure:
                self.sure_refusals.append(sentence)

    def _take(self, candidate: Candidate) -> None:
        artifact_id = candidate.artifact_id or self._order.artifact_id
        capture = self._capture(artifact_id, candidate.name, candidate.media_type)
        if candidate.source == "staged":
            self.captured[artifact_id] = capture.take(candidate.path)
            return
        roots = self._roots if candidate.source == "located" else [self._storage]
        place = place_of(candidate.path, roots, self._order.scope)
        own = self._capture(self._order.artifact_id, candidate.name)
        if place.root.is_storage and place.parts[:-1] == own.folder:
            if self._order.artifact_id not in self.captured:    # else it comes with all that is in the folder
                self.captured[self._order.artifact_id] = own.adopt(place.parts[-1])
        elif candidate.source == "injected":
            raise Forbidden("the file lies outside its artifact's folder")
        else:
            self._copy(place, capture)

    def _copy(self, place: AllowedPath, capture: ArtifactFolder) -> None:
        # The modes do not matter: nothing is created below the source's root.
        source = Folders(place.root.path, dir_mode=0o700, file_mode=0o600).open_file(place.parts)
        try:
            about = os.fstat(source)
            if about.st_ctime_ns < self._order.not_before_ns:
                raise Forbidden("the file is older than the call that names it")
            if (about.st_dev, about.st_ino) not in self._copied:
                self.captured[capture.artifact_id] = capture.copy(source, place.parts[-1])
                self._copied.add((about.st_dev, about.st_ino))
                self._copies.append(capture.artifact_id)
        finally:
            os.close(source)

    def _beside(self) -> None:
        """What the tool wrote beside the path given to it, under names of its own."""
        own = self._capture(self._order.artifact_id)
        kept = self.captured.get(self._order.artifact_id)
        names: list[str] = []
        with ignore_refusals():
            names = [name for name in own.plain_files() if not name.startswith(".")]
        if kept is not None:
            names = [name for name in names if name != kept.stored_name]
        elif names:
            with ignore_refusals():
                self.captured[own.artifact_id] = own.adopt(names.pop(0))
        for spare_id in self._order.spare_ids[:max(0, MAX_FILES - len(self.captured))]:
            if not self._bring(self._capture(spare_id), own, names):
                break
        if names:
            self.sure_refusals.append(f"{len(names)} more beside the path given to the tool: {_TOO_MANY}")

    def _bring(self, capture: ArtifactFolder, own: ArtifactFolder, names: list[str]) -> bool:
        """Move the first of `names` in, unless a run that was broken off has moved one. False: there is none left."""
        with contextlib.suppress(NotFound):
            placed = self.captured[capture.artifact_id] = capture.adopt_only()
            names[:] = [name for name in names if name != placed.stored_name]    # as this run saw them before
            return True
        if not names:
            return False
        with ignore_refusals():           # it is gone again, or no plain file any more
            self.captured[capture.artifact_id] = capture.bring(own.folder, names.pop(0))
        return True

    def _capture(self, artifact_id: str, name: str = "", declared: str = "") -> ArtifactFolder:
        return ArtifactFolder(
            folders=self._folders, scope=self._order.scope, artifact_id=artifact_id, name=name, declared=declared
        )


def _rank(candidate: Candidate) -> int:
    """Where in the search a candidate stands: the later are looked at where the earlier held nothing."""
    if candidate.source == "staged":
        return 2
    return int(candidate.is_fallback)


@contextmanager
def ignore_refusals() -> Iterator[None]:
    """Let a refusal pass: nobody was promised the file."""
    try:
        yield
    except (Refused, OSError) as err:
        _ = _refusal(err)


def _refusal(err: Refused | OSError) -> Refused:
    """What to tell of a file that cannot be had. Raises what may be had another time."""
    found = error_of_os(err) if isinstance(err, OSError) else err
    if not isinstance(found, Refused):
        raise found from err
    return found
