"""Errors of MCP and JSON-RPC that only the gateway raises; `longshore.shared.errors` has the others."""

from typing import Any

from longshore.shared.errors import BadRequest, Refused


class ParseError(BadRequest):
    """Body that is not JSON (JSON-RPC 2.0 §5.1)."""

    code = -32700
    reason = "parse_error"


class InvalidParams(BadRequest):
    """Parameter of the wrong form or value (JSON-RPC 2.0 §5.1)."""

    code = -32602
    reason = "invalid_params"


class InvalidState(InvalidParams):
    """`requestState` that was not issued to this caller for this request, or has expired
    (MCP 2026-07-28 basic/patterns/mrtr §Server Requirements)."""

    reason = "invalid_request_state"


class UnsupportedRevision(BadRequest):
    """Protocol revision that this mount does not support. The revision does not define this code, so that
    a client of both eras falls back to `initialize`."""

    code = -32000
    reason = "unsupported_revision"


class HeaderMismatch(BadRequest):
    """Missing or malformed headers of a modern request, or headers that contradict the body
    (MCP 2026-07-28 basic/transports/streamable-http §Server Validation)."""

    code = -32020
    reason = "header_mismatch"


class UnsupportedVersion(BadRequest):
    """Modern protocol version that longshore does not support (MCP 2026-07-28 basic/versioning)."""

    code = -32022
    reason = "unsupported_version"

    def __init__(self, *, requested: str, supported: tuple[str, ...]) -> None:
        super().__init__(f"this revision is not spoken here; {', '.join(supported)} is")
        self._details = {"supported": list(supported), "requested": requested}

    @property
    def details(self) -> dict[str, Any]:
        """Return the requested and the supported versions."""
        return self._details


class FileRefused(Refused):
    """Refused request of the file transfer methods (SEP-2631 §Errors)."""

    code = -32602
    reason = "file_refused"

    def __init__(self, text: str, *, why: str, is_callers: bool = True, **facts: Any) -> None:
        """`why` is the draft's own reason, put into `data` with the `facts`. With `is_callers` another request may
        succeed."""
        super().__init__(text)
        self._details = {"reason": why, **facts}
        if not is_callers:
            self.code = -32603

    @property
    def details(self) -> dict[str, Any]:
        """Return the draft's reason and the facts."""
        return self._details


class MissingCapability(Refused):
    """Client capability that the server requires and the client did not declare (MCP 2026-07-28 basic §_meta)."""

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
        """Return the required capabilities."""
        return {"requiredCapabilities": self._required}


class InputMissing(Refused):
    """Input that the server requested and the client did not give: it declined, was too late, or the server
    requested input too many times."""

    code = -32603
    reason = "input_missing"


class MethodNotFound(Refused):
    """Method that the server does not have. A modern client also gets the status."""

    status = 404
    code = -32601
    reason = "method_not_found"


class ToolInputError(Refused):
    """Tool argument that the caller can correct, returned as a result with `isError: true`
    (MCP 2025-11-25 server/tools §Error Handling)."""

    code = -32602
    reason = "bad_tool_argument"


class ArtifactMissing(Refused):
    """Tool call that succeeded, but whose output files could not be captured."""

    code = -32603
    reason = "artifact_missing"
