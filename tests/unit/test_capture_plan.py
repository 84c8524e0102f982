"""Choice of the files to capture, and the artifacts that they become."""

from pathlib import Path

import pytest

from longshore.shared.errors import Forbidden
from longshore.shared.jobs import MAX_FILES, Candidate, FinaliseArtifact
from longshore.storage_worker.capture.path_policy import AllowedPath, Root
from longshore.storage_worker.capture.plan import FolderPlan, OwnFile, StagedFile, plan_candidates, plan_folder

_SCOPE = "s" * 32
_STORAGE = Root(Path("/data"), ((("data",)),), is_storage=True)
_ELSEWHERE = Root(Path("/tmp/tool"), ((("tmp", "tool")),))
_OWN = f"/data/artifacts/sessions/{_SCOPE}/own"


def _order(*candidates: Candidate) -> FinaliseArtifact:
    return FinaliseArtifact(
        scope=_SCOPE, server="s1", artifact_id="own", tool="t", candidates=list(candidates), not_before_ns=0,
        expose=True,
    )


def _sources(*candidates: Candidate) -> list[list[object]]:
    groups = plan_candidates(_order(*candidates), [_STORAGE, _ELSEWHERE])
    return [[step.source for step in group] for group in groups]


def test_fallbacks_and_staged_bytes_are_for_when_nothing_else_was_captured() -> None:
    staged = Candidate(source="staged", path="up")
    fallback = Candidate(source="located", path="/data/b", is_fallback=True)
    located = Candidate(source="located", path="/data/a")

    assert _sources(staged, fallback, located) == [
        [AllowedPath(_STORAGE, ("a",))], [AllowedPath(_STORAGE, ("b",))], [StagedFile("up")]
    ]


def test_a_file_in_the_own_folder_becomes_the_order_s_artifact_whoever_names_it() -> None:
    injected = Candidate(source="injected", path=f"{_OWN}/x.png")
    located = Candidate(source="located", path=f"{_OWN}/y.png", artifact_id="other")

    [steps] = plan_candidates(_order(injected, located), [_STORAGE])

    assert [step.source for step in steps] == [OwnFile("x.png"), OwnFile("y.png")]
    assert [step.artifact_id for step in steps] == ["own", "own"]


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(source="injected", path="/data/out/x.png"),     # outside its folder
        Candidate(source="injected", path="/tmp/tool/x.png"),     # an allowed root is for paths that the tool names
        Candidate(source="located", path="/etc/passwd"),
        Candidate(source="located", path="/data/state/x"),
    ],
)
def test_a_path_that_is_not_allowed_is_a_step_that_is_refused(candidate: Candidate) -> None:
    [[source]] = _sources(candidate)

    assert isinstance(source, Forbidden)


def test_files_go_to_the_own_artifact_and_then_to_spare_ones_in_order() -> None:
    plan = plan_folder([".tmp", "a", "b", "c"], {"s1": [], "s2": [], "s3": []}, kept=None, captured=0)

    assert plan == FolderPlan(own_file="a", moves=[("s1", "b"), ("s2", "c")], moved=[], left_out=0)


def test_the_file_that_a_candidate_named_is_not_captured_again() -> None:
    plan = plan_folder(["a", "b"], {"s1": []}, kept="a", captured=1)

    assert plan == FolderPlan(own_file=None, moves=[("s1", "b")], moved=[], left_out=0)


def test_a_file_that_an_earlier_run_moved_keeps_its_artifact() -> None:
    """Also when the listing of the own folder is older than the move, and when a spare folder before it is empty."""
    plan = plan_folder(["a", "b", "c"], {"s1": [], "s2": ["b"], "s3": []}, kept="a", captured=1)

    assert plan == FolderPlan(own_file=None, moves=[("s1", "c")], moved=["s2"], left_out=0)


def test_a_spare_folder_with_several_files_is_left_alone() -> None:
    plan = plan_folder(["b"], {"s1": ["x", "y"], "s2": []}, kept=None, captured=1)

    assert (plan.own_file, plan.moves, plan.moved) == ("b", [], [])
    assert plan_folder(["a", "b"], {"s1": ["x", "y"], "s2": []}, kept="a", captured=1).moves == [("s2", "b")]


def test_files_beyond_the_limit_are_counted() -> None:
    names = [f"{n:03}" for n in range(MAX_FILES + 7)]

    plan = plan_folder(names, {f"s{n}": [] for n in range(MAX_FILES)}, kept="000", captured=3)

    assert len(plan.moves) == MAX_FILES - 3
    assert plan.left_out == MAX_FILES + 6 - (MAX_FILES - 3)
    assert plan_folder(["a"], {"s1": []}, kept="b", captured=MAX_FILES).left_out == 1
