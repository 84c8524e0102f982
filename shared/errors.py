"""Errors that callers see: HTTP status, JSON-RPC code, stable reason, and a message that says what to do.

`Refused`: retrying does not help. `Unavailable`: retrying later may help. The gateway turns them into
responses, the job runner into outcomes. Any other exception is a bug in longshore.
Reasons are API: each is listed in docs/errors.md and never renamed.
"""

from typing import Any


class LongshoreError(Exception):
    """Base class. `str(error)` is a message for the caller and never holds a secret or a path."""

    status = 500
    code = -32603
    reason = "internal"

    @property
    def details(self) -> dict[str, Any]:
        """Return the fields of `data` in a JSON-RPC error beside the reason."""
        return {}


class Refused(LongshoreError):
    """Error for which retrying does not help."""

    status = 400
    code = -32600
    reason = "refused"


class Unavailable(LongshoreError):
    """Error for which retrying later may help."""

    status = 503
    code = -32603
    reason = "unavailable"
    retry_after_s = 1        # for `Retry-After`


class BadRequest(Refused):
    """Malformed request; the message says what is wrong."""

    reason = "bad_request"


class Unauthorized(Refused):
    """Missing or invalid credential."""

    status = 401
    code = -32001
    reason = "unauthorized"


class InvalidToken(Unauthorized):
    """Invalid credential (RFC 6750 §3.1 invalid_token)."""


class Forbidden(Refused):
    """Valid request for something of another caller, or a link that is expired or used."""

    status = 403
    code = -32001
    reason = "forbidden"


class InsufficientScope(Forbidden):
    """Valid token without the required scope (RFC 6750 §3.1 insufficient_scope)."""

    reason = "insufficient_scope"


class NotFound(Refused):
    """Unknown name, or one of another caller."""

    status = 404
    code = -32002
    reason = "not_found"


class MethodNotAllowed(Refused):
    """HTTP method that the route does not have."""

    status = 405
    reason = "method_not_allowed"


class SessionGone(NotFound):
    """Unknown, ended or expired session: the client initializes a new one
    (MCP 2025-11-25 basic/transports §Session Management)."""

    code = -32001
    reason = "session_not_found"


class SlowRequest(Unavailable):
    """Request body that did not arrive in time."""

    status = 408
    code = -32600
    reason = "request_timeout"


class SessionConflict(Refused):
    """Session of another caller, or one that was invalidated for a security reason."""

    status = 409
    code = -32001
    reason = "session_conflict"


class OffsetConflict(Refused):
    """Offset of a request that is not that of the resumable upload (tus 1.0.0 §PATCH)."""

    status = 409
    reason = "offset_conflict"


class UnsupportedTus(Refused):
    """Version of the tus protocol that longshore does not support."""

    status = 412
    reason = "unsupported_tus"


class SlowListener(Unavailable):
    """Subscriber that reads notifications more slowly than they arrive."""

    status = 408
    reason = "slow_listener"


class UploadBusy(Unavailable):
    """Resumable upload that another request writes."""

    status = 423
    reason = "upload_busy"


class ChecksumMismatch(Unavailable):
    """Received bytes that differ from the checksum (tus 1.0.0 §Checksum); none were kept."""

    status = 460
    reason = "checksum_mismatch"


class NotAcceptable(Refused):
    """`Accept` header that excludes every possible response."""

    status = 406
    reason = "not_acceptable"


class TooLarge(Refused):
    """Body or file above its size limit."""

    status = 413
    reason = "too_large"


class WrongMediaType(Refused):
    """Content type that the route does not accept."""

    status = 415
    reason = "wrong_content_type"


class TooMany(Unavailable):
    """Limit on sessions or calls that has been reached."""

    status = 429
    code = -32000
    reason = "too_many"


class RateLimited(TooMany):
    """Requests above the configured `limits` of a principal or address, or too many wrong credentials."""

    reason = "rate_limited"

    def __init__(self, text: str, *, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = max(1, retry_after_s)


class OverQuota(Refused):
    """File that would exceed a byte budget even after evictions."""

    status = 507
    reason = "over_quota"

    def __init__(self, *, size_bytes: int, used_bytes: int, budget_bytes: int) -> None:
        super().__init__(
            f"{size_bytes} bytes do not fit: {used_bytes} of {budget_bytes} are in use and cannot be evicted; "
            "send less, or wait for running calls and uploads to end"
        )


class TooManyArtifacts(OverQuota):
    """Artifact above the limit of a session while running calls use all others."""

    def __init__(self, *, limit: int) -> None:
        Refused.__init__(
            self, f"{limit} artifacts are the limit of a session, and running calls use those that are there; "
            "wait for one to end"
        )


class DiskFull(Unavailable):
    """Full storage volume."""

    status = 507
    reason = "disk_full"


class StoreDown(Unavailable):
    """Unreachable Redis; nothing was changed."""

    reason = "state_unavailable"


class IssuerDown(Unavailable):
    """Unreachable authorization server."""

    reason = "issuer_unavailable"


class WorkerDown(Unavailable):
    """Job that no worker finished in time; it was withdrawn."""

    reason = "worker_unavailable"


class UpstreamDown(Unavailable):
    """Upstream MCP server that is unreachable or closed the connection."""

    status = 502
    reason = "upstream_unavailable"


class UpstreamTimeout(Unavailable):
    """Upstream MCP server that did not answer in time."""

    status = 504
    reason = "upstream_timeout"


class CallLost(Unavailable):
    """Suspended call that is lost, because its gateway stopped or its time ran out."""

    reason = "call_lost"


class Cancelled(Refused):
    """Request that the client cancelled."""

    status = 499
    reason = "cancelled"
