"""Principal of a request: the identity of the caller and the servers that it may use. Pure."""

from dataclasses import dataclass, field

from longshore.gateway.auth.claims import VerifiedToken
from longshore.shared.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Principal:
    """Identity of a caller: a token's name, `<issuer>#<subject>`, or `anonymous@<address>` when auth is off."""

    name: str                                    # what sessions and files are bound to
    authenticated: bool
    servers: frozenset[str] = frozenset()        # ids of the servers that it may use; empty: all
    credential: str = field(default="", repr=False)  # as it was sent, so that it can be kept from upstreams
    token: VerifiedToken | None = None           # of an authorization server

    def may_use(self, server: str) -> bool:
        """Return True if the principal may use the server of this id, by the configuration of its token."""
        return not self.servers or server in self.servers

    def check_server(self, server: str) -> None:
        """Raise Forbidden unless the principal may use the server of this id."""
        if not self.may_use(server):
            raise Forbidden("the token is not valid for this server; the operator sets its servers in core.auth.tokens")
