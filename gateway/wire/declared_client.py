"""Converts a legacy client's `initialize` parameters into the client info and capabilities of modern requests. Pure.

MCP 2026-07-28 basic §_meta; MCP 2025-11-25 client/elicitation §Capabilities. Capabilities that the client's revision
does not define are ignored.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

_MODES_SINCE = "2025-11-25"  # elicitation modes, and tools in sampling
# Extensions that work unchanged, since their messages are passed through anyway.
_PASSED_EXTENSIONS = frozenset({"io.modelcontextprotocol/ui"})
_EMPTY = msgspec.Raw(b"{}")

Capabilities = dict[str, Any]


class _Capabilities(msgspec.Struct):
    elicitation: dict[str, Any] | None = None
    sampling: dict[str, Any] | None = None
    roots: dict[str, Any] | None = None
    experimental: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


class _Init(msgspec.Struct):
    client_info: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="clientInfo")
    capabilities: msgspec.Raw = _EMPTY


_inits = msgspec.json.Decoder(_Init)
_capabilities = msgspec.json.Decoder(_Capabilities)


@dataclass(frozen=True, slots=True)
class DeclaredClient:
    """Client info and capabilities that a client declared at `initialize`."""

    info: msgspec.Raw            # `clientInfo`, b"" for none
    capabilities: Capabilities   # in their modern form


def parse_initialize(init_params: bytes, protocol: str, *, accepts_requests: bool) -> DeclaredClient:
    """Convert the `initialize` parameters of a session of the revision `protocol`.

    Without `accepts_requests` (the client has no stream), elicitation, sampling and roots are left out.
    """
    try:
        init = _inits.decode(init_params)
        declared = _capabilities.decode(init.capabilities)
    except msgspec.DecodeError:
        return DeclaredClient(msgspec.Raw(), {})
    found: Capabilities = {}
    if declared.experimental:
        found["experimental"] = declared.experimental
    if passed := {name: value for name, value in (declared.extensions or {}).items() if name in _PASSED_EXTENSIONS}:
        found["extensions"] = passed
    if accepts_requests:
        found |= _input_capabilities(declared, has_modes=protocol >= _MODES_SINCE)
    return DeclaredClient(msgspec.Raw(bytes(init.client_info)), found)


def _input_capabilities(declared: _Capabilities, *, has_modes: bool) -> Capabilities:
    found: Capabilities = {}
    if declared.elicitation is not None:
        modes = {name: declared.elicitation[name] for name in ("form", "url") if name in declared.elicitation}
        found["elicitation"] = modes if has_modes and modes else {"form": {}}
    if declared.sampling is not None:
        found["sampling"] = declared.sampling if has_modes else {}
    if declared.roots is not None:
        found["roots"] = {}          # the modern revision has no notification that roots changed
    return found
