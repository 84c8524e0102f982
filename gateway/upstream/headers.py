"""Which headers travel: those that the protocol needs and those that the configuration names. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from longshore.shared.config import Server
from longshore.shared.errors import BadRequest

_PROTOCOL_HEADERS = ("MCP-Protocol-Version", "Last-Event-ID")
# Set by the hop itself, whatever a configuration names.
_HOP_HEADERS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
    "accept-encoding", "mcp-session-id", "content-type", "accept", "proxy-authorization", "mcp-protocol-version",
    "last-event-id", "mcp-method", "mcp-name", "x-longshore-workspace",
})


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """What one server's configuration says about headers, prepared once."""

    static: dict[str, str]
    required: tuple[str, ...]
    passthrough: tuple[str, ...]
    own_credential: str          # longshore's credential header, lower-case: never forwarded

    @classmethod
    def of(cls, server: Server, *, credential_header: str) -> "HeaderRules":
        """The rules of `server`. `credential_header` is `core.auth.header_name`."""
        client = server.upstream.client_headers
        own = credential_header.lower()
        # One spelling of each name, and none that is set from elsewhere: two spellings would be two headers.
        named: dict[str, str] = {}
        for name in (*client.passthrough, *client.required):
            named.setdefault(name.lower(), name)
        set_elsewhere = _HOP_HEADERS | {own} | {name.lower() for name in server.upstream.static_headers}
        passthrough = tuple(name for lower, name in named.items() if lower not in set_elsewhere)
        return cls(dict(server.upstream.static_headers), client.required, passthrough, own)


def upstream_headers(
    rules: HeaderRules, incoming: Mapping[str, str], *, accept: str, session_id: str, own_tokens: tuple[str, ...] = ()
) -> dict[str, str]:
    """Headers for the upstream. `incoming` is case-insensitive. Raises BadRequest for a missing required one.

    The caller's `Authorization` or `Cookie` go only where the configuration names them, and never
    with a value that holds a token of longshore's own.
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


def check_required(rules: HeaderRules, incoming: Mapping[str, str]) -> None:
    """Raise BadRequest naming the first header that the server needs and the caller did not send."""
    for name in rules.required:
        if not incoming.get(name):
            raise BadRequest(f"this server needs the header {name}; set it in the client's configuration")
