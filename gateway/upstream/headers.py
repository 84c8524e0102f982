"""Builds the headers of a request to the upstream: those of the protocol and those in the configuration. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from longshore.shared.config import Server
from longshore.shared.config.text_types import RESERVED_HEADERS
from longshore.shared.errors import BadRequest

_PROTOCOL_HEADERS = ("MCP-Protocol-Version", "Last-Event-ID")
_NEVER_PASSED = RESERVED_HEADERS | {"x-longshore-workspace"}
ACCEPT = "application/json, text/event-stream"
ACCEPT_BOTH = {"Accept": ACCEPT}


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """Header rules of one server, prepared once from its configuration."""

    static: dict[str, str]
    required: tuple[str, ...]
    passthrough: tuple[str, ...]
    own_credential: str          # longshore's credential header, lower-case: never forwarded

    @classmethod
    def of(cls, server: Server, *, credential_header: str) -> "HeaderRules":
        """Build the rules of `server`. `credential_header` is `core.auth.header_name`."""
        client = server.upstream.client_headers
        own = credential_header.lower()
        # Names are unique ignoring case: two spellings would be sent as two headers.
        named: dict[str, str] = {}
        for name in (*client.passthrough, *client.required):
            named.setdefault(name.lower(), name)
        set_elsewhere = _NEVER_PASSED | {own} | {name.lower() for name in server.upstream.static_headers}
        passthrough = tuple(name for lower, name in named.items() if lower not in set_elsewhere)
        return cls(dict(server.upstream.static_headers), client.required, passthrough, own)


def upstream_headers(
    rules: HeaderRules, incoming: Mapping[str, str], *, accept: str, session_id: str, own_tokens: tuple[str, ...] = ()
) -> dict[str, str]:
    """Build the headers of a request to the upstream. `incoming` is a case-insensitive mapping.

    The caller's `Authorization` and `Cookie` are passed on only if the configuration names them, and never with a
    value that contains one of longshore's own tokens.
    """
    headers = {"Content-Type": "application/json", "Accept": accept}
    if session_id:
        headers["Mcp-Session-Id"] = session_id
    for name in _PROTOCOL_HEADERS:
        if (value := incoming.get(name)) is not None:
            headers[name] = value
    for name in rules.passthrough:
        value = incoming.get(name)
        if value is not None and not any(token in value for token in own_tokens):
            headers[name] = value
    headers.update(rules.static)
    return headers


def own_request_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for a request of the gateway's own on behalf of a caller: without those of the caller's message."""
    return {name: value for name, value in headers.items() if name.lower() not in _OF_A_MESSAGE} | ACCEPT_BOTH


_OF_A_MESSAGE = frozenset(name.lower() for name in _PROTOCOL_HEADERS)


def check_required(rules: HeaderRules, incoming: Mapping[str, str]) -> None:
    """Raise BadRequest naming the first header that the server needs and the caller did not send."""
    for name in rules.required:
        if not incoming.get(name):
            raise BadRequest(f"this server needs the header {name}; set it in the client's configuration")
