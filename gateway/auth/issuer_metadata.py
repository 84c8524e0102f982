"""Where an authorization server says what it has: RFC 8414 and OpenID Connect Discovery."""

from urllib.parse import urlsplit

import aiohttp
import msgspec

from longshore.gateway.auth.issuer_http import get_json
from longshore.shared.errors import IssuerDown


class IssuerMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What longshore needs of a server's metadata."""

    issuer: str
    jwks_uri: str | None = None
    introspection_endpoint: str | None = None
    scopes_supported: list[str] | None = None
    code_challenge_methods_supported: list[str] | None = None
    registration_endpoint: str | None = None
    client_id_metadata_document_supported: bool | None = None


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where the metadata of `issuer` may be, in the order in which MCP clients look
    (MCP 2025-11-25 basic/authorization §Authorization Server Metadata Discovery). Pure."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    found = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(found))


async def issuer_metadata(http: aiohttp.ClientSession, issuer: str) -> IssuerMetadata:
    """What `issuer` says of itself. Raises IssuerDown, also when it says that it is another (RFC 8414 §3.3)."""
    for url in metadata_urls(issuer):
        found = await get_json(http, url, IssuerMetadata)
        if found is None:
            continue
        if found.issuer != issuer:
            raise IssuerDown("the authorization server calls itself otherwise than core.auth.oauth.issuer")
        return found
    raise IssuerDown("the authorization server publishes no metadata where core.auth.oauth.issuer says")
