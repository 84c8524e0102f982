"""The tokens of the configuration, by digest. Pure."""

import hashlib
import hmac
from dataclasses import dataclass

from longshore.gateway.auth.principal import Principal
from longshore.shared.config import Auth

TOKEN_PRINCIPAL = "token"  # noqa: S105  (the name of whoever holds `core.auth.token`)


@dataclass(frozen=True, slots=True)
class _Known:
    digest: bytes
    name: str
    servers: frozenset[str]


class StaticTokens:
    """Every token of one configuration. Built once at start-up."""

    def __init__(self, auth: Auth) -> None:
        self._known: list[_Known] = []
        if auth.token:
            self._known.append(_Known(digest_of(auth.token), TOKEN_PRINCIPAL, frozenset()))
        for entry in auth.tokens:
            servers = frozenset(entry.servers)
            if entry.token:
                self._known.append(_Known(digest_of(entry.token), entry.name, servers))
            if entry.token_sha256:
                self._known.append(_Known(bytes.fromhex(entry.token_sha256), entry.name, servers))

    def find(self, offered: str, digest: bytes) -> Principal | None:
        """Whose token `offered` is, whose digest is given. Takes as long whichever it is, and if it is none."""
        found: _Known | None = None
        for known in self._known:
            if hmac.compare_digest(digest, known.digest):
                found = known
        if found is None:
            return None
        return Principal(found.name, authenticated=True, servers=found.servers, credential=offered)


def digest_of(token: str) -> bytes:
    """What a token is compared and remembered by."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
