"""Who calls: the static token in its own header or as a bearer token, else an address."""

import hashlib
import hmac

from aiohttp import web

from gateway.addresses import client_address
from gateway.appkeys import CONFIG, Principal
from shared.config import Config
from shared.errors import Unauthorized

TOKEN_PRINCIPAL = "token"  # noqa: S105  (the name of whoever holds `core.auth.token`)


def credential_of(request: web.Request, config: Config) -> str | None:
    """The credential that the request offers, None when it offers none."""
    own = request.headers.get(config.core.auth.header_name)
    if own is not None:
        return own.strip()
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def principal_of(request: web.Request) -> Principal:
    """The caller. Raises Unauthorized when auth is on and the credential is missing or wrong."""
    config = request.app[CONFIG]
    auth = config.core.auth
    if not auth.enabled:
        address = client_address(request.remote or "", request.headers, config.core.trusted_proxies)
        return Principal(f"anonymous@{address}", authenticated=False)
    offered = credential_of(request, config)
    if offered is None:
        raise Unauthorized(f"send the token in the header {auth.header_name} or as Authorization: Bearer")
    if not same_secret(offered, auth.token or ""):
        raise Unauthorized("the token is not valid here")
    return Principal(TOKEN_PRINCIPAL, authenticated=True)


def is_authenticated(request: web.Request) -> bool:
    """Whether the request carries a valid credential; with auth off nobody does."""
    config = request.app[CONFIG]
    offered = credential_of(request, config)
    return config.core.auth.enabled and offered is not None and same_secret(offered, config.core.auth.token or "")


def same_secret(offered: str, expected: str) -> bool:
    """Compare in time that tells nothing, not even the length. An empty expectation matches nothing."""
    digests = (hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (offered, expected))
    return hmac.compare_digest(*digests) and bool(expected)
