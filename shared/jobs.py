"""Payloads of jobs, which gateways send to workers, and their outcomes.

Both are sent as msgpack inside arq's own envelope. The tag of a payload names its job; a worker that does
not know it leaves it to arq, which fails the job. No payload holds a deadline: the job expires in the queue,
by Redis' clock, when its caller's timeout ends.
"""

from typing import Literal

import msgspec

from longshore.shared.records import ArtifactRecord, UploadRecord


class StagedFile(msgspec.Struct, frozen=True, kw_only=True):
    """Received file in `staging/`, complete and closed."""

    id: str                 # later the record's id
    staged_name: str        # one path component below `staging/`
    name: str               # as the client named it
    stored_name: str        # safe, one path component, at most 255 bytes
    media_type: str         # as the client declared it, "" for none
    size_bytes: int
    sha256: str             # lowercase hex


class TracedPayload(msgspec.Struct, frozen=True, kw_only=True):
    """Base class of payloads."""

    traceparent: str = ""   # of the job (W3C Trace Context), "" for none


class FinaliseUpload(TracedPayload, frozen=True, kw_only=True, tag="finalise_upload"):
    """Make the files of one upload request visible, all or none."""

    scope: str
    server: str
    files: list[StagedFile]
    reservation: str = ""   # of their bytes, if their size was declared; the commit ends it


MAX_FILES = 20             # artifacts of one call


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Path at which the tool may have written a file."""

    source: Literal["injected", "located", "staged"]
    path: str               # injected, located: absolute, as the worker sees it; staged: a name in `staging/`
    name: str = ""          # display name, "" for that of the path
    media_type: str = ""    # as the tool declared it
    artifact_id: str = ""   # "": that of the payload, for the first file that exists
    is_fallback: bool = False  # used only if nothing else was found
    is_sure: bool = False   # named by the tool's own output field: a missing file is reported


class FinaliseArtifact(TracedPayload, frozen=True, kw_only=True, tag="finalise_artifact"):
    """Capture the candidates that exist and are allowed, and other files beside the injected path."""

    scope: str
    server: str
    artifact_id: str        # its folder holds the injected path
    tool: str
    candidates: list[Candidate]
    not_before_ns: int      # file system time: a located file that changed earlier is not of this call
    expose: bool
    spare_ids: list[str] = []   # for files beside the injected path
    is_last: bool = True    # False: other candidates follow, so the reserved id stays if nothing is found


class RemoveScope(TracedPayload, frozen=True, kw_only=True, tag="remove_scope"):
    """Unlink the files of a scope whose records are removed."""

    scope: str


class Cleanup(TracedPayload, frozen=True, kw_only=True, tag="cleanup"):
    """Expire due sessions and files. Enqueued by the workers, once per interval."""


class Sweep(TracedPayload, frozen=True, kw_only=True, tag="sweep"):
    """Unlink files without record. Enqueued by the workers, once per interval."""


class Reconcile(TracedPayload, frozen=True, kw_only=True, tag="reconcile"):
    """Restore lost records of files in storage. Enqueued by the workers."""


Payload = FinaliseUpload | FinaliseArtifact | RemoveScope | Cleanup | Sweep | Reconcile


class UploadsDone(msgspec.Struct, frozen=True, kw_only=True, tag="uploads_done"):
    """Outcome: every file of the batch is committed."""

    records: list[UploadRecord]


class ArtifactDone(msgspec.Struct, frozen=True, kw_only=True, tag="artifact_done"):
    """Outcome: the artifacts are committed."""

    record: ArtifactRecord
    more: list[ArtifactRecord] = []
    refusals: list[str] = []    # for the caller: files that were not kept, and why


class NothingFound(msgspec.Struct, frozen=True, kw_only=True, tag="nothing_found"):
    """Outcome: no candidate could be captured; `refusals` says why, for the caller."""

    refusals: list[str]


class Removed(msgspec.Struct, frozen=True, kw_only=True, tag="removed"):
    """Outcome: number of unlinked files."""

    files: int


class JobRefused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """Outcome: the job raised a `LongshoreError` and left nothing behind."""

    status: int             # HTTP
    code: int               # JSON-RPC
    reason: str
    message: str


class CycleDone(msgspec.Struct, frozen=True, kw_only=True, tag="cycle_done"):
    """Outcome: a clean-up or sweep cycle, with the number of removed items by kind."""

    removed: dict[str, int]
    sessions: dict[str, dict[str, int]] = {}    # removed sessions by server and kind


Outcome = UploadsDone | ArtifactDone | NothingFound | Removed | CycleDone | JobRefused
