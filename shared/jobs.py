"""What gateways ask of workers: one payload record a job, and the outcomes that come back.

Payloads and outcomes travel as msgpack inside arq's own envelope. A payload's tag names its job; a
worker that does not know it leaves it to arq, which reports the job as failed. No payload holds a
deadline: the queue lets a job expire, by Redis' clock, when its caller stops waiting.
"""

from typing import Literal

import msgspec

from longshore.shared.records import ArtifactRecord, UploadRecord


class StagedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One received file in `staging/`, complete and closed, digest taken while it came in."""

    id: str                 # becomes the record's id
    staged_name: str        # one path component below `staging/`
    name: str               # as the client named it
    stored_name: str        # safe, one path component, at most 255 bytes
    media_type: str         # as the client declared it, "" when it did not
    size_bytes: int
    sha256: str             # lowercase hex


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """What every payload carries."""

    traceparent: str = ""   # the trace that the job belongs to (W3C Trace Context), "" for none


class FinaliseUpload(Ordered, frozen=True, kw_only=True, tag="finalise_upload"):
    """Make the files of one upload request visible, all or none."""

    scope: str
    server: str
    files: list[StagedFile]
    reservation: str = ""   # of their bytes, where their size was declared; the commit ends it


MOST_FILES = 20             # of one call that become artifacts


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A place where the tool may have left a file."""

    source: Literal["injected", "located", "staged"]
    path: str               # injected, located: absolute, as the worker sees it; staged: a name in `staging/`
    name: str = ""          # display name when the path does not tell it
    media_type: str = ""    # as the tool declared it
    artifact_id: str = ""   # what it becomes; "": the order's, which goes to the first that is there
    is_fallback: bool = False  # looked at where nothing else was found
    is_sure: bool = False   # the tool says so where it was expected to: that the file is not there is told


class FinaliseArtifact(Ordered, frozen=True, kw_only=True, tag="finalise_artifact"):
    """Capture the candidates that are there and allowed, and what else lies beside the injected path."""

    scope: str
    server: str
    artifact_id: str        # whose folder holds the injected path
    tool: str
    candidates: list[Candidate]
    not_before_ns: int      # file system time: a located file changed earlier is not this call's
    expose: bool
    spare_ids: list[str] = []   # for files beside the injected path
    is_last: bool = True    # False: where nothing is found, the reservation stays, and other candidates follow


class RemoveScope(Ordered, frozen=True, kw_only=True, tag="remove_scope"):
    """Unlink every file of a scope whose records are gone."""

    scope: str


class Cleanup(Ordered, frozen=True, kw_only=True, tag="cleanup"):
    """End what has fallen due. Enqueued by the workers themselves, once an interval."""


class Sweep(Ordered, frozen=True, kw_only=True, tag="sweep"):
    """Unlink files that belong to nothing. Enqueued by the workers themselves, once an interval."""


class Reconcile(Ordered, frozen=True, kw_only=True, tag="reconcile"):
    """Make files in storage records again. Enqueued by the workers themselves."""


Payload = FinaliseUpload | FinaliseArtifact | RemoveScope | Cleanup | Sweep | Reconcile


class UploadsDone(msgspec.Struct, frozen=True, kw_only=True, tag="uploads_done"):
    """Every file of the batch is visible."""

    records: list[UploadRecord]


class ArtifactDone(msgspec.Struct, frozen=True, kw_only=True, tag="artifact_done"):
    """The artifacts are visible."""

    record: ArtifactRecord
    more: list[ArtifactRecord] = []
    refusals: list[str] = []    # what of the call was not kept and why, fit for a caller's eyes


class NothingFound(msgspec.Struct, frozen=True, kw_only=True, tag="nothing_found"):
    """No candidate could be captured; `refusals` says of each why not, fit for a caller's eyes."""

    refusals: list[str]


class Removed(msgspec.Struct, frozen=True, kw_only=True, tag="removed"):
    """So many files were unlinked."""

    files: int


class JobRefused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The job ended in an error of the family; nothing of it is left."""

    status: int             # HTTP
    code: int               # JSON-RPC
    reason: str
    message: str


class CycleDone(msgspec.Struct, frozen=True, kw_only=True, tag="cycle_done"):
    """One clean-up or sweep cycle, with what it removed by kind."""

    removed: dict[str, int]
    sessions: dict[str, dict[str, int]] = {}    # of these the sessions, by their server and kind


Outcome = UploadsDone | ArtifactDone | NothingFound | Removed | CycleDone | JobRefused
