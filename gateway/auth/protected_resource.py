"""OAuth protected resource: metadata (RFC 9728) and challenges for clients. Pure."""

from typing import Any

from longshore.gateway.auth.claims import normalise_audience
from longshore.shared.config import Config, Server

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def resource_url(config: Config, server: Server | None) -> str:
    """Return the resource identifier of a mount, or of the whole gateway: the audience of its tokens."""
    base = config.core.public_base_url or ""
    return base if server is None else base + server.mount_path


def metadata_url(config: Config, server: Server | None) -> str:
    """Return the URL of a mount's metadata: the mount's path follows the well-known one (RFC 9728 §3.1)."""
    base = config.core.public_base_url or ""
    return base + WELL_KNOWN + ("" if server is None else server.mount_path)


def metadata(config: Config, server: Server | None) -> dict[str, Any]:
    """Build the metadata document of RFC 9728 §2."""
    document: dict[str, Any] = {
        "resource": resource_url(config, server),
        "authorization_servers": [config.core.auth.oauth.issuer],
        "bearer_methods_supported": ["header"],
        "resource_name": "longshore" if server is None else f"longshore: {server.id}",
    }
    if scopes := _scopes(config, server):
        document["scopes_supported"] = list(scopes)
    return document


def required_scopes(config: Config, server: Server) -> tuple[str, ...]:
    """List the scopes that a token needs for `server`, in the order of the configuration."""
    return tuple(dict.fromkeys((*config.core.auth.oauth.scopes, *server.required_scopes)))


def all_scopes(config: Config) -> tuple[str, ...]:
    """List the scopes that any server needs."""
    return tuple(dict.fromkeys(scope for server in config.servers for scope in required_scopes(config, server)))


def _scopes(config: Config, server: Server | None) -> tuple[str, ...]:
    return all_scopes(config) if server is None else required_scopes(config, server)


def audiences(config: Config, server: Server | None) -> frozenset[str]:
    """List the audiences that are accepted: the mount, the whole gateway, and those of the configuration."""
    named = config.core.auth.oauth.audience
    mounts = config.servers if server is None else (server,)
    own = (resource_url(config, None), *(resource_url(config, mount) for mount in mounts))
    return frozenset(normalise_audience(text) for text in (*own, *named))


def challenge(config: Config, server: Server | None, *, error: str = "") -> str:
    """Format `WWW-Authenticate` (RFC 6750 §3, RFC 9728 §5.1)."""
    if config.core.auth.oauth.issuer is None:
        return "Bearer" + (f' error="{error}"' if error else "")
    parts = [f'resource_metadata="{metadata_url(config, server)}"']
    if scopes := _scopes(config, server):
        parts.append(f'scope="{" ".join(scopes)}"')
    if error:
        parts.append(f'error="{error}"')
    return "Bearer " + ", ".join(parts)
