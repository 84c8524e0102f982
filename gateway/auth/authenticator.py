"""Authenticates credentials: static tokens of the configuration, and access tokens of the authorization server."""

from aiohttp import web

from longshore.gateway.auth import protected_resource
from longshore.gateway.auth.claims import VerifiedToken
from longshore.gateway.auth.principal import Principal
from longshore.gateway.auth.static_tokens import StaticTokens, token_digest
from longshore.gateway.auth.token_verifier import TokenVerifier
from longshore.shared.config import Config
from longshore.shared.errors import InsufficientScope, InvalidToken, LongshoreError, Unauthorized
from longshore.shared.tasks import Tasks


class Authenticator:
    """Authentication and authorization by one configuration. Built once at start-up."""

    def __init__(self, config: Config, tasks: Tasks) -> None:
        self._config = config
        self._tokens = StaticTokens(config.core.auth)
        self._seen_digests: set[bytes] = set()   # digests of the static tokens that were sent so far
        oauth = config.core.auth.oauth
        self._issuer = oauth.issuer
        self._verifier = TokenVerifier(oauth, tasks) if oauth.issuer is not None else None
        self._servers = {server.id: server for server in config.servers}
        self._audiences = {server.id: protected_resource.audiences(config, server) for server in config.servers}
        self._all_audiences = protected_resource.audiences(config, None)
        self._scopes = {
            server.id: frozenset(protected_resource.required_scopes(config, server)) for server in config.servers
        }

    async def authenticate(self, credential: str) -> Principal:
        """Find the principal of a credential. Raises Unauthorized, IssuerDown."""
        digest = token_digest(credential)
        principal = self._tokens.find(credential, digest)
        if principal is not None:
            self._seen_digests.add(digest)
            return principal
        if self._verifier is None:
            raise InvalidToken("the token is not valid")
        return self._principal_of(await self._verifier.verify(credential, digest), credential)

    def recently_valid(self, credential: str) -> bool:
        """Return True if this credential was valid here before and has not expired since."""
        digest = token_digest(credential)
        if digest in self._seen_digests:
            return True
        return self._verifier is not None and self._verifier.cached(digest) is not None

    def check(self, principal: Principal, server: str | None) -> None:
        """Raise Forbidden, InsufficientScope or InvalidToken unless the principal may use the server of this id.

        With None, its token must be valid for any server.
        """
        if server is not None:
            principal.check_server(server)
        token = principal.token
        if token is None:
            return
        if self._audiences.get(server or "", self._all_audiences).isdisjoint(token.audiences):
            raise InvalidToken("the token has another audience; request one with this server as its resource")
        missing = self._scopes.get(server or "", frozenset()) - token.scopes
        if missing:
            raise InsufficientScope(f"the token lacks the scope {' '.join(sorted(missing))}")

    def challenge(self, err: LongshoreError, server: str) -> str:
        """Return `WWW-Authenticate` for `err` on the server of this id; "" for an error that takes none."""
        if not isinstance(err, Unauthorized | InsufficientScope):
            return ""
        error = "invalid_token" if isinstance(err, InvalidToken) else ""
        if isinstance(err, InsufficientScope):
            error = "insufficient_scope"
        return protected_resource.challenge(self._config, self._servers.get(server), error=error)

    async def close(self) -> None:
        """Close the connections to the authorization server."""
        if self._verifier is not None:
            await self._verifier.close()

    def _principal_of(self, token: VerifiedToken, credential: str) -> Principal:
        return Principal(f"{self._issuer}#{token.subject}", authenticated=True, credential=credential, token=token)


AUTHENTICATOR = web.AppKey("authenticator", Authenticator)
