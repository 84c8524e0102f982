"""Static tokens of the configuration, found by their digest. Pure."""

import hashlib
import hmac
from dataclasses import dataclass

from longshore.gateway.auth.principal import Principal
from longshore.shared.config import Auth

TOKEN_PRINCIPAL = "token"  # noqa: S105  (the principal of `core.auth.token`)


@dataclass(frozen=True, slots=True)
class _StaticToken:
    digest: bytes
    name: str
    servers: frozenset[str]


class StaticTokens:
    """All static tokens of one configuration. Built once at start-up."""

    def __init__(self, auth: Auth) -> None:
        self._tokens: list[_StaticToken] = []
        if auth.token:
            self._tokens.append(_StaticToken(token_digest(auth.token), TOKEN_PRINCIPAL, frozenset()))
        for entry in auth.tokens:
            servers = frozenset(entry.servers)
            if entry.token:
                self._tokens.append(_StaticToken(token_digest(entry.token), entry.name, servers))
            if entry.token_sha256:
                self._tokens.append(_StaticToken(bytes.fromhex(entry.token_sha256), entry.name, servers))

    def find(self, credential: str, digest: bytes) -> Principal | None:
        """Find the principal of `credential` by its digest. Takes the same time for every token, and for none."""
        found: _StaticToken | None = None
        for token in self._tokens:
            if hmac.compare_digest(digest, token.digest):
                found = token
        if found is None:
            return None
        return Principal(found.name, authenticated=True, servers=found.servers, credential=credential)


def token_digest(token: str) -> bytes:
    """Digest by which tokens are compared and cached."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
