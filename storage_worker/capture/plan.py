"""Decides which files of a tool call to capture, in which order, and as which artifacts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from longshore.shared.errors import Forbidden
from longshore.shared.jobs import MAX_FILES, Candidate, FinaliseArtifact
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS
from longshore.storage_worker.capture.path_policy import AllowedPath, Root, allowed_path


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file that the gateway put into `staging/`."""

    name: str


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file in the folder of the artifact that it becomes."""

    name: str


Source = StagedFile | OwnFile | AllowedPath | Forbidden     # the last: why the candidate is refused


@dataclass(frozen=True, slots=True)
class Step:
    """One candidate, where its file is and the artifact that it becomes."""

    candidate: Candidate
    artifact_id: str
    source: Source


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """Artifacts for the files that lie in the folder of the injected path, besides those that candidates name."""

    own_file: str | None                 # becomes the order's own artifact
    moves: list[tuple[str, str]]         # artifact id, and the file to move into its folder
    moved: list[str]                     # ids of artifacts whose file an earlier run moved already
    left_out: int                        # files for which no artifact id is left


def plan_candidates(order: FinaliseArtifact, roots: Sequence[Root]) -> list[list[Step]]:
    """Steps in groups: a later group is for when the earlier ones captured nothing. `roots` starts with the storage."""
    ranked = sorted(order.candidates, key=_rank)
    return [[_step(candidate, order, roots) for candidate in group] for _, group in groupby(ranked, key=_rank)]


def plan_folder(
    files: Sequence[str], spare: Mapping[str, Sequence[str]], *, kept: str | None, captured: int
) -> FolderPlan:
    """Assign the files of the order's own folder to its own artifact and to `spare` ones.

    `files` are the names in the folder, `spare` the names in the folder of each spare artifact id, `kept` is the file
    of the own artifact if that is captured, `captured` the number of artifacts so far. A spare folder with one file
    keeps it: a run that was interrupted moved it there, perhaps after `files` was read.
    """
    usable = list(spare)[:max(0, MAX_FILES - captured)]
    moved = [artifact_id for artifact_id in usable if len(spare[artifact_id]) == 1]
    gone = {kept, *(spare[artifact_id][0] for artifact_id in moved)}
    names = [name for name in files if not name.startswith(".") and name not in gone]
    own_file = names.pop(0) if kept is None and names else None
    moves = list(zip((one for one in usable if not spare[one]), names, strict=False))
    return FolderPlan(own_file, moves, moved, left_out=len(names) - len(moves))


def _rank(candidate: Candidate) -> int:
    return 2 if candidate.source == "staged" else int(candidate.is_fallback)


def _step(candidate: Candidate, order: FinaliseArtifact, roots: Sequence[Root]) -> Step:
    artifact_id = candidate.artifact_id or order.artifact_id
    if candidate.source == "staged":
        return Step(candidate, artifact_id, StagedFile(candidate.path))
    try:
        path = allowed_path(candidate.path, roots if candidate.source == "located" else roots[:1], order.scope)
    except Forbidden as err:
        return Step(candidate, artifact_id, err)
    if path.root.is_storage and path.parts[:-1] == (ARTIFACTS, SESSIONS, order.scope, order.artifact_id):
        return Step(candidate, order.artifact_id, OwnFile(path.parts[-1]))
    if candidate.source == "injected":
        return Step(candidate, artifact_id, Forbidden("the file lies outside its artifact's folder"))
    return Step(candidate, artifact_id, path)
