"""Authorization server metadata: RFC 8414 and OpenID Connect Discovery."""

from urllib.parse import urlsplit

import aiohttp
import msgspec

from longshore.gateway.auth.issuer_http import request_json
from longshore.shared.errors import IssuerDown


class IssuerMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of the metadata that longshore uses."""

    issuer: str
    jwks_uri: str | None = None
    introspection_endpoint: str | None = None
    scopes_supported: list[str] | None = None
    code_challenge_methods_supported: list[str] | None = None
    registration_endpoint: str | None = None
    client_id_metadata_document_supported: bool | None = None


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """List the URLs of the issuer's metadata in the order in which MCP clients try them
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
    """Fetch the issuer's metadata. Raises IssuerDown, also for metadata of another issuer (RFC 8414 §3.3)."""
    for url in metadata_urls(issuer):
        found = await request_json(http, url, IssuerMetadata)
        if found is None:
            continue
        if found.issuer != issuer:
            raise IssuerDown("the issuer in the authorization server's metadata is not core.auth.oauth.issuer")
        return found
    raise IssuerDown("the authorization server publishes no metadata at core.auth.oauth.issuer")
