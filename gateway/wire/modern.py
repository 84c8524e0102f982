"""Modern requests: `_meta` keys, the headers that mirror the body, and their validation. Pure.

MCP 2026-07-28 basic §_meta and basic/transports/streamable-http §Server Validation.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from multidict import MultiMapping

from longshore.gateway.wire import header_values, jsonrpc
from longshore.gateway.wire.envelope import LEGACY_VERSIONS, Envelope, Kind
from longshore.gateway.wire.protocol_errors import HeaderMismatch, InvalidParams, UnsupportedVersion
from longshore.shared.errors import BadRequest
from longshore.shared.version import OWN_INFO

VERSION = "2026-07-28"
SUPPORTED = (VERSION,)
INPUT_METHODS = frozenset({"tools/call", "prompts/get", "resources/read"})   # that may return `input_required`
LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")   # of both eras

PROTOCOL_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
CLIENT_INFO_KEY = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"
SERVER_INFO_KEY = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION_KEY = "io.modelcontextprotocol/subscriptionId"
WORKSPACE_KEY = "io.longshore/workspace"

VERSION_HEADER = "MCP-Protocol-Version"
METHOD_HEADER = "Mcp-Method"
NAME_HEADER = "Mcp-Name"
_MIRRORED_HEADERS = (VERSION_HEADER, METHOD_HEADER, NAME_HEADER)

HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022

OWN_META = {PROTOCOL_KEY: VERSION, CAPABILITIES_KEY: {}, CLIENT_INFO_KEY: OWN_INFO}   # of the gateway's own requests

_LAST_LEGACY = max(LEGACY_VERSIONS)


class _Meta(msgspec.Struct):
    protocol: Any = msgspec.field(default=msgspec.UNSET, name=PROTOCOL_KEY)
    capabilities: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name=CAPABILITIES_KEY)
    workspace: Any = msgspec.field(default=None, name=WORKSPACE_KEY)


class _Params(msgspec.Struct):
    meta: _Meta = msgspec.field(name="_meta")


class _Request(msgspec.Struct):
    params: _Params


_requests = msgspec.json.Decoder(_Request)


@dataclass(frozen=True, slots=True)
class ModernRequest:
    """Validated `_meta` and standard headers of a modern request."""

    capabilities: msgspec.Raw    # of the client, an object
    workspace: str               # "" for none
    mirrored_headers: dict[str, str]    # `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` as received


def is_modern(envelope: Envelope, version_header: str | None) -> bool:
    """True if a message is of the modern revision or a later one."""
    if version_header is not None and is_modern_version(version_header):
        return True
    return envelope.has_modern_meta or envelope.method == "server/discover"


def is_modern_version(version: str) -> bool:
    """True if `version` is later than all legacy revisions."""
    return version not in LEGACY_VERSIONS and version > _LAST_LEGACY


def declared_capabilities(body: bytes) -> bytes:
    """Return the client capabilities in the `_meta` of a validated request."""
    return bytes(_meta_of(body).capabilities)


def without_workspace(body: bytes) -> bytes:
    """Remove the workspace key, which is meant for this gateway only."""
    message = jsonrpc.open_object(body)
    params = jsonrpc.open_object(message["params"])
    meta = jsonrpc.open_object(params["_meta"])
    del meta[WORKSPACE_KEY]
    params["_meta"] = jsonrpc.raw(meta)
    message["params"] = jsonrpc.raw(params)
    return jsonrpc.close_object(message)


def name_of(method: str, params: Envelope) -> str:
    """Return the value of `Mcp-Name` for a message, "" for none."""
    if method not in INPUT_METHODS:
        return ""
    return params.uri if method == "resources/read" else params.name


def request_headers(method: str, *, name: str = "") -> dict[str, str]:
    """Build the standard headers of a modern request; `name` is the value of `Mcp-Name`."""
    headers = {VERSION_HEADER: VERSION, METHOD_HEADER: header_values.encode(method)}
    if name:
        headers[NAME_HEADER] = header_values.encode(name)
    return headers


def parse_request(envelope: Envelope, body: bytes, headers: MultiMapping[str]) -> ModernRequest:
    """Validate a modern message in the order that the revision prescribes.

    Raises InvalidParams without the required `_meta` keys, HeaderMismatch if headers and body differ,
    UnsupportedVersion, and BadRequest for a response, which no modern client sends.
    """
    if envelope.kind is Kind.RESPONSE:
        raise BadRequest("this revision has no responses from clients; send the request again with inputResponses")
    mirrors = _mirrored_headers(headers)
    if envelope.kind is Kind.NOTIFICATION:
        _check_version(mirrors.get(VERSION_HEADER, ""))
        return ModernRequest(msgspec.Raw(b"{}"), "", mirrors)
    meta = _meta_of(body)
    if mirrors.get(VERSION_HEADER) != meta.protocol:
        raise HeaderMismatch(f"the header {VERSION_HEADER} and {PROTOCOL_KEY} of the body differ")
    if header_values.decode(mirrors.get(METHOD_HEADER, "")) != envelope.method:
        raise HeaderMismatch(f"the header {METHOD_HEADER} and the method of the body differ")
    if envelope.method in INPUT_METHODS and header_values.decode(mirrors.get(NAME_HEADER, "")) != name_of(
        envelope.method, envelope
    ):
        raise HeaderMismatch(f"the header {NAME_HEADER} and the name or uri of the body differ")
    _check_version(meta.protocol)
    if not bytes(meta.capabilities).startswith(b"{"):
        raise InvalidParams(f"{CAPABILITIES_KEY} must be an object")
    if not isinstance(meta.workspace, (str, type(None))):
        raise InvalidParams(f"{WORKSPACE_KEY} must be a string")
    return ModernRequest(meta.capabilities, meta.workspace or "", mirrors)



def _meta_of(body: bytes) -> _Meta:
    try:
        meta = _requests.decode(body).params.meta
    except jsonrpc.UNREADABLE:
        raise InvalidParams(f"params._meta must be an object with {PROTOCOL_KEY} and {CAPABILITIES_KEY}") from None
    missing = [key for key, is_there in (
        (PROTOCOL_KEY, meta.protocol is not msgspec.UNSET), (CAPABILITIES_KEY, bool(bytes(meta.capabilities))),
    ) if not is_there]
    if missing:
        raise InvalidParams(f"params._meta lacks {' and '.join(missing)}")
    return meta


def _check_version(version: str) -> None:
    if version not in SUPPORTED:
        raise UnsupportedVersion(requested=version, supported=SUPPORTED)


def _mirrored_headers(headers: MultiMapping[str]) -> dict[str, str]:
    """Collect the standard headers. A duplicate is refused, since two readers may take different ones."""
    found: dict[str, str] = {}
    for name in _MIRRORED_HEADERS:
        values = headers.getall(name, ())
        if len(values) > 1:
            raise HeaderMismatch(f"the header {name} is there twice")
        if values:
            found[name] = values[0]
    return found
