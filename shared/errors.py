"""The one family of errors that callers see: status, JSON-RPC code, stable reason, and what to do.

`Refused`: asking again changes nothing. `Unavailable`: it may help. The edge turns them into
answers; the job frame turns them into outcomes. Anything else that is raised is a bug of ours.
Reasons are API: each is listed in docs/errors.md and never renamed.
"""

from typing import Any


class LongshoreError(Exception):
    """Base of the family. `str(error)` is a sentence for the caller and never holds a secret or a path."""

    status = 500
    code = -32603
    reason = "internal"

    @property
    def details(self) -> dict[str, Any]:
        """What a JSON-RPC error says in `data` beside the reason."""
        return {}


class Refused(LongshoreError):
    """Asking again the same way changes nothing."""

    status = 400
    code = -32600
    reason = "refused"


class Unavailable(LongshoreError):
    """Asking again later may help."""

    status = 503
    code = -32603
    reason = "unavailable"
    retry_after_s = 1    # what `Retry-After` says


class BadRequest(Refused):
    """The request is malformed; the sentence says where."""

    reason = "bad_request"


class ParseError(BadRequest):
    """The body is not JSON (JSON-RPC 2.0 §5.1)."""

    code = -32700
    reason = "parse_error"


class InvalidParams(BadRequest):
    """A parameter has the wrong shape or value (JSON-RPC 2.0 §5.1)."""

    code = -32602
    reason = "invalid_params"


class InvalidState(InvalidParams):
    """A `requestState` that is not what this caller was given for this request, or not any more
    (MCP 2026-07-28 basic/patterns/mrtr §Server Requirements)."""

    reason = "invalid_request_state"


class UnsupportedRevision(BadRequest):
    """A revision of MCP that this mount does not speak. Its code is none that the revision
    defines itself, so that a client of both eras falls back to `initialize`."""

    code = -32000
    reason = "unsupported_revision"


class HeaderMismatch(BadRequest):
    """Headers of the stateless revision that are missing, malformed or say other than the body
    (MCP 2026-07-28 basic/transports/streamable-http §Server Validation)."""

    code = -32020
    reason = "header_mismatch"


class UnsupportedVersion(BadRequest):
    """A stateless revision that is not spoken here (MCP 2026-07-28 basic/versioning)."""

    code = -32022
    reason = "unsupported_version"

    def __init__(self, *, requested: str, supported: tuple[str, ...]) -> None:
        super().__init__(f"this revision is not spoken here; {', '.join(supported)} is")
        self._details = {"supported": list(supported), "requested": requested}

    @property
    def details(self) -> dict[str, Any]:
        """The versions, as the revision wants them said."""
        return self._details


class FileRefused(Refused):
    """A file that is not taken or given as a client of the file transfer methods asks (SEP-2631 §Errors)."""

    code = -32602
    reason = "file_refused"

    def __init__(self, text: str, *, why: str, is_callers: bool = True, **facts: Any) -> None:
        """`why` is the draft's own word, which stands in `data` with the `facts`; `is_callers` is whether another
        request could do better."""
        super().__init__(text)
        self._details = {"reason": why, **facts}
        if not is_callers:
            self.code = -32603

    @property
    def details(self) -> dict[str, Any]:
        """What programs read."""
        return self._details


class MissingCapability(Refused):
    """The server needs something of the client that it did not declare (MCP 2026-07-28 basic §_meta)."""

    code = -32021
    reason = "missing_capability"

    def __init__(self, required: dict[str, Any]) -> None:
        names = [word for name, parts in required.items() for word in ([f"{name}.{part}" for part in parts] or [name])]
        super().__init__(
            f"the server needs {' and '.join(names)} of the client, which this client does not offer here; "
            "use a client that does, or what needs less"
        )
        self._required = required

    @property
    def details(self) -> dict[str, Any]:
        """The capabilities, as the revision wants them said."""
        return {"requiredCapabilities": self._required}


class InputMissing(Refused):
    """What the server wants to know before it answers did not come from the client: it was refused, came too late,
    or there was no end of questions."""

    code = -32603
    reason = "input_missing"


class MethodNotFound(Refused):
    """A method that the server does not have; the stateless revision says so with a status, too."""

    status = 404
    code = -32601
    reason = "method_not_found"


class Unauthorized(Refused):
    """No valid credential."""

    status = 401
    code = -32001
    reason = "unauthorized"


class InvalidToken(Unauthorized):
    """A credential that was given and is no good (RFC 6750 §3.1 invalid_token)."""


class Forbidden(Refused):
    """A valid request for something that belongs to somebody else, or a dead link."""

    status = 403
    code = -32001
    reason = "forbidden"


class InsufficientScope(Forbidden):
    """A token that holds, but was given for less than this (RFC 6750 §3.1 insufficient_scope)."""

    reason = "insufficient_scope"


class NotFound(Refused):
    """Nothing of that name for this caller."""

    status = 404
    code = -32002
    reason = "not_found"


class MethodNotAllowed(Refused):
    """The route exists, but not for this HTTP method."""

    status = 405
    reason = "method_not_allowed"


class SessionGone(NotFound):
    """The session is unknown, ended or expired: the client initialises a new one
    (MCP 2025-11-25 basic/transports §Session Management)."""

    code = -32001
    reason = "session_not_found"


class SlowRequest(Unavailable):
    """The body of the request did not come in time."""

    status = 408
    code = -32600
    reason = "request_timeout"


class SessionConflict(Refused):
    """The session is another caller's, or was invalidated for a security reason."""

    status = 409
    code = -32001
    reason = "session_conflict"


class OffsetConflict(Refused):
    """A resumable upload is at another offset than the request (tus 1.0.0 §PATCH)."""

    status = 409
    reason = "offset_conflict"


class UnsupportedTus(Refused):
    """A version of the tus protocol that is not spoken here."""

    status = 412
    reason = "unsupported_tus"


class SlowListener(Unavailable):
    """A client that listens for changes and takes them more slowly than they come."""

    status = 408
    reason = "slow_listener"


class UploadBusy(Unavailable):
    """Somebody else writes this resumable upload."""

    status = 423
    reason = "upload_busy"


class ChecksumMismatch(Unavailable):
    """The bytes that arrived are not those that were sent (tus 1.0.0 §Checksum); none were kept."""

    status = 460
    reason = "checksum_mismatch"


class NotAcceptable(Refused):
    """The `Accept` header rules out every answer we could give."""

    status = 406
    reason = "not_acceptable"


class TooLarge(Refused):
    """A body or file above its limit."""

    status = 413
    reason = "too_large"


class WrongMediaType(Refused):
    """A content type that this route does not take."""

    status = 415
    reason = "wrong_content_type"


class TooMany(Unavailable):
    """A limit on sessions or calls is reached."""

    status = 429
    code = -32000
    reason = "too_many"


class RateLimited(TooMany):
    """A caller or an address asks for more than `limits` allows it, or sent too many wrong credentials."""

    reason = "rate_limited"

    def __init__(self, text: str, *, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = max(1, retry_after_s)


class OverQuota(Refused):
    """The file would pass a byte budget, even after other files gave way."""

    status = 507
    reason = "over_quota"

    def __init__(self, *, size_bytes: int, used_bytes: int, budget_bytes: int) -> None:
        super().__init__(
            f"{size_bytes} bytes do not fit: {used_bytes} of {budget_bytes} are in use and cannot give way; "
            "send less, or wait for running calls and uploads to end"
        )


class TooManyArtifacts(OverQuota):
    """The scope has as many artifacts as it may, and calls use those that could give way."""

    def __init__(self, *, limit: int) -> None:
        Refused.__init__(
            self, f"{limit} artifacts are the limit of a session, and running calls use those that are there; "
            "wait for one to end"
        )


class DiskFull(Unavailable):
    """The storage volume has no room."""

    status = 507
    reason = "disk_full"


class StoreDown(Unavailable):
    """Redis does not answer; nothing was changed."""

    reason = "state_unavailable"


class IssuerDown(Unavailable):
    """The authorization server cannot be asked about a token."""

    reason = "issuer_unavailable"


class WorkerDown(Unavailable):
    """No worker finished the job in time; the job was withdrawn."""

    reason = "worker_unavailable"


class UpstreamDown(Unavailable):
    """The upstream MCP server cannot be reached or broke off."""

    status = 502
    reason = "upstream_unavailable"


class UpstreamTimeout(Unavailable):
    """The upstream MCP server did not answer in time."""

    status = 504
    reason = "upstream_timeout"


class CallLost(Unavailable):
    """A call that waited for its client is gone, with the gateway that held it or with its time."""

    reason = "call_lost"


class Cancelled(Refused):
    """The client asked for the request to be given up."""

    status = 499
    reason = "cancelled"


class ToolInputError(Refused):
    """A tool argument that the caller can correct: answered as a result with `isError: true`
    (MCP 2025-11-25 server/tools §Error Handling)."""

    code = -32602
    reason = "bad_tool_argument"


class ArtifactMissing(Refused):
    """The tool ran, but no file of its could be captured."""

    code = -32603
    reason = "artifact_missing"
