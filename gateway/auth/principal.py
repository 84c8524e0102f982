"""Who calls, and what is open to them. Pure."""

from dataclasses import dataclass, field

from longshore.gateway.auth.claims import Verified
from longshore.shared.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a token's name, `<issuer>#<subject>`, or `anonymous@<address>` when auth is off."""

    name: str                                    # what sessions and files are bound to
    authenticated: bool
    servers: frozenset[str] = frozenset()        # ids of those that are open; none named: all
    credential: str = field(default="", repr=False)  # what was sent to prove it, so that it travels no further
    grant: Verified | None = None                # what an authorization server said

    def may_use(self, server: str) -> bool:
        """Whether the server of this id is open to them, as far as its name goes."""
        return not self.servers or server in self.servers

    def check_server(self, server: str) -> None:
        """Raise Forbidden unless the server of this id is open to them."""
        if not self.may_use(server):
            raise Forbidden("this token is not for this server; its operator names them in core.auth.tokens")
