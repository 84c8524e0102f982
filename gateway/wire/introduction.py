"""What a client with a session said of itself at `initialize`, as a server of the stateless revision is told it each
time. Pure.

MCP 2026-07-28 basic §_meta; MCP 2025-11-25 client/elicitation §Capabilities. What a client of an older revision
declares counts as far as that revision has it.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

_MODES_SINCE = "2025-11-25"   # of elicitation, and with tools in sampling
# Of what a client declares beside elicitation, sampling and roots, what needs nothing but what passes through anyway.
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
    """Who a client is and what it can do."""

    info: msgspec.Raw        # b"" when it did not say
    capabilities: Capabilities   # in the words of the stateless revision


def parse_initialize(init_params: bytes, protocol: str, *, accepts_requests: bool) -> DeclaredClient:
    """What the client of these `initialize` parameters is, in a session of the revision `protocol`.

    One that cannot be asked, for want of a stream, declares nothing that is asked of clients.
    """
    try:
        init = _inits.decode(init_params)
        said = _capabilities.decode(init.capabilities)
    except msgspec.DecodeError:
        return DeclaredClient(msgspec.Raw(), {})
    found: Capabilities = {}
    if said.experimental:
        found["experimental"] = said.experimental
    if passing := {name: value for name, value in (said.extensions or {}).items() if name in _PASSED_EXTENSIONS}:
        found["extensions"] = passing
    if accepts_requests:
        found |= _input_capabilities(said, has_modes=protocol >= _MODES_SINCE)
    return DeclaredClient(msgspec.Raw(bytes(init.client_info)), found)


def _input_capabilities(said: _Capabilities, *, has_modes: bool) -> Capabilities:
    found: Capabilities = {}
    if said.elicitation is not None:
        modes = {name: said.elicitation[name] for name in ("form", "url") if name in said.elicitation}
        found["elicitation"] = modes if has_modes and modes else {"form": {}}
    if said.sampling is not None:
        found["sampling"] = said.sampling if has_modes else {}
    if said.roots is not None:
        found["roots"] = {}          # that the list changes is nothing that the stateless revision has
    return found

