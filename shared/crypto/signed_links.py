"""Signed links: HMAC-SHA256 over the target, the expiry and the nonce of a link. Pure.

Issuing a link writes nothing; only the use of a one-time link is stored (`longshore.shared.state.grants`).
The key id lets the secret be rotated: the newest signs, all of the ring verify.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from longshore.shared.errors import Forbidden
from longshore.shared.ids import is_id

Purpose = Literal["upload", "download"]
_CACHED_SCOPES = 4_096       # each call without session id needs its scope


@dataclass(frozen=True, slots=True)
class Link:
    """Content of a signed link."""

    purpose: Purpose
    server: str
    scope: str               # session id
    target: str              # artifact id for downloads; "" for uploads
    nonce: str               # 22 chars, random
    expires_s: int           # since the epoch


class Signer:
    """Signs and verifies links with a ring of secrets, the first of which signs."""

    def __init__(self, secrets: list[str]) -> None:
        derived = [hmac.digest(secret.encode(), b"longshore signed link v1", "sha256") for secret in secrets]
        self._ring = {hashlib.sha256(key).hexdigest()[:8]: key for key in derived}
        # Derived from the last secret of the ring, which a rotation keeps longest: a new one would change all scopes.
        self._scopes = derived[-1]
        self._current = hashlib.sha256(derived[0]).hexdigest()[:8]
        self._scope = lru_cache(_CACHED_SCOPES)(self._scope_of)

    def scope_of(self, server: str, principal: str, workspace: str = "", *, declared: str = "") -> str:
        """Return the scope of a principal without session id, or of its workspace. 33 chars.

        With `declared`, another scope per declaration. Deterministic, unguessable, and different for different
        arguments.
        """
        return self._scope(server, principal, workspace, declared)

    def _scope_of(self, server: str, principal: str, workspace: str, declared: str) -> str:
        message = _sized(server.encode())
        if declared:
            within = _sized(declared.encode()) + _sized(workspace.encode())
            message = b"scope of declared v1" + message + within + principal.encode()
        elif workspace:
            message = b"scope of workspace v1" + message + _sized(workspace.encode()) + principal.encode()
        else:
            message = b"scope v1" + message + principal.encode()
        digest = hmac.digest(self._scopes, message, "sha256")
        return "p" + urlsafe_b64encode(digest[:24]).decode()

    def query(self, link: Link) -> dict[str, str]:
        """Return the query parameters of a signed link."""
        return {
            "scope": link.scope,
            "expires": str(link.expires_s),
            "nonce": link.nonce,
            "key": self._current,
            "sig": _signature(self._ring[self._current], link),
        }

    def verify(
        self, query: Mapping[str, str], *, purpose: Purpose, server: str, target: str, now_s: float
    ) -> Link:
        """Verify and return the link of `query`. Raises Forbidden when it is malformed, forged, foreign or expired."""
        scope, nonce, expires = query.get("scope", ""), query.get("nonce", ""), query.get("expires", "")
        if not (is_id(scope) and is_id(nonce) and expires.isascii() and expires.isdigit() and len(expires) <= 12):
            raise Forbidden("this link is malformed; ask for a new one")
        link = Link(
            purpose=purpose, server=server, scope=scope, target=target, nonce=nonce, expires_s=int(expires)
        )
        key = self._ring.get(query.get("key", ""))
        signature = query.get("sig", "").encode()
        if key is None or not hmac.compare_digest(_signature(key, link).encode(), signature):
            raise Forbidden("this link's signature is not valid here; ask for a new one")
        if link.expires_s <= now_s:
            raise Forbidden("this link has expired; ask for a new one")
        return link


def _signature(key: bytes, link: Link) -> str:
    # Length before each field, so that different links serialize differently.
    fields = (link.purpose, link.server, link.scope, link.target, link.nonce, str(link.expires_s))
    message = b"".join(_sized(field.encode()) for field in fields)
    return urlsafe_b64encode(hmac.digest(key, message, "sha256")).rstrip(b"=").decode()


def _sized(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "big") + raw
