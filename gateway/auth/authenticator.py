"""Tells who a credential belongs to and what it opens, or refuses it."""

from aiohttp import web

from longshore.gateway.auth import protected_resource
from longshore.gateway.auth.claims import Verified
from longshore.gateway.auth.principal import Principal
from longshore.gateway.auth.static_tokens import StaticTokens, digest_of
from longshore.gateway.auth.token_verifier import TokenVerifier
from longshore.shared.config import Config
from longshore.shared.errors import InsufficientScope, InvalidToken, LongshoreError, Unauthorized
from longshore.shared.tasks import Tasks


class Authenticator:
    """What one configuration says about credentials. Built once at start-up."""

    def __init__(self, config: Config, tasks: Tasks) -> None:
        self._config = config
        self._tokens = StaticTokens(config.core.auth)
        self._seen: set[bytes] = set()   # digests of static tokens that were sent: as many as there are
        oauth = config.core.auth.oauth
        self._issuer = oauth.issuer
        self._verifier = TokenVerifier(oauth, tasks) if oauth.issuer is not None else None
        self._servers = {server.id: server for server in config.servers}
        self._audiences = {server.id: protected_resource.audiences(config, server) for server in config.servers}
        self._any_audience = protected_resource.audiences(config, None)
        self._scopes = {
            server.id: frozenset(protected_resource.needed_scopes(config, server)) for server in config.servers
        }

    async def authenticate(self, offered: str) -> Principal:
        """Whose credential this is. Raises Unauthorized, IssuerDown."""
        digest = digest_of(offered)
        principal = self._tokens.find(offered, digest)
        if principal is not None:
            self._seen.add(digest)
            return principal
        if self._verifier is None:
            raise InvalidToken("the token is not valid here")
        return self._holder(await self._verifier.verify(offered, digest), offered)

    def recently_valid(self, offered: str) -> bool:
        """Whether this very credential was good before, here, and has not ended since."""
        digest = digest_of(offered)
        return digest in self._seen or (self._verifier is not None and self._verifier.known(digest) is not None)

    def check(self, principal: Principal, server: str | None) -> None:
        """Raise Forbidden, InsufficientScope or InvalidToken unless the server of this id is open; None: anything."""
        if server is not None:
            principal.check_server(server)
        grant = principal.grant
        if grant is None:
            return
        if self._audiences.get(server or "", self._any_audience).isdisjoint(grant.audiences):
            raise InvalidToken("the token is made out to somebody else; ask for one with this server as its resource")
        missing = self._scopes.get(server or "", frozenset()) - grant.scopes
        if missing:
            raise InsufficientScope(f"the token lacks the scope {' '.join(sorted(missing))}")

    def challenge(self, err: LongshoreError, server: str) -> str:
        """`WWW-Authenticate` for `err` on the server of this id; "" where none belongs."""
        if not isinstance(err, Unauthorized | InsufficientScope):
            return ""
        error = "invalid_token" if isinstance(err, InvalidToken) else ""
        if isinstance(err, InsufficientScope):
            error = "insufficient_scope"
        return protected_resource.challenge(self._config, self._servers.get(server), error=error)

    async def close(self) -> None:
        """Let go of connections to the authorization server."""
        if self._verifier is not None:
            await self._verifier.close()

    def _holder(self, grant: Verified, offered: str) -> Principal:
        name = f"{self._issuer}#{grant.subject}"
        return Principal(name, authenticated=True, credential=offered, grant=grant)


AUTHENTICATOR = web.AppKey("door", Authenticator)
