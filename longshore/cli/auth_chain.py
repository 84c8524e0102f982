"""The way of a client from the URL of a mount to its first call, step by step, up to the first that is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from longshore.cli.errors import CheckFailed
from longshore.gateway.auth import protected_resource
from longshore.gateway.auth.authenticator import Authenticator
from longshore.gateway.auth.issuer_metadata import IssuerMetadata, metadata_urls
from longshore.gateway.auth.jwks import JwkSet, usable_keys
from longshore.shared.config import Config, Server
from longshore.shared.errors import InvalidToken, LongshoreError
from longshore.shared.tasks import Tasks
from longshore.shared.version import running_version

_WITHIN = aiohttp.ClientTimeout(total=10)
_INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "longshore doctor", "version": running_version()},
    },
}
_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True)
class _Answer:
    url: str
    status: int
    headers: dict[str, str]
    body: bytes

    def decoded(self, kind: Any) -> Any:
        """The body as a `kind`. Raises CheckFailed."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as err:
            raise CheckFailed(f"{self.url} answers {self.status} with something else than it should: {err}") from err


class Walk:
    """One walk over what `config` describes. `say` takes each step that is right."""

    def __init__(self, config: Config, http: aiohttp.ClientSession, say: Callable[[str], None]) -> None:
        self._config = config
        self._http = http
        self._say = say

    async def all(self, token: str | None) -> None:
        """Every step. Raises CheckFailed at the first that is wrong."""
        core = self._config.core
        if not core.auth.enabled:
            raise CheckFailed("core.auth.enabled is false: everybody may call, and nobody is asked for a token")
        if core.public_base_url is None:
            raise CheckFailed("core.public_base_url is not set: set it to the URL that clients use")
        if core.auth.oauth.issuer is None:
            self._say("no core.auth.oauth.issuer: static tokens only, nothing for clients to find out")
        else:
            for server in (None, *self._config.servers):
                await self._metadata(server)
        for server in self._config.servers:
            for slash in ("", "/"):
                await self._challenge(server, slash)
        if core.auth.oauth.issuer is not None:
            await self._issuer(core.auth.oauth.issuer)
        if token is not None:
            await self._token(token)

    async def _metadata(self, server: Server | None) -> None:
        url = protected_resource.metadata_url(self._config, server)
        answer = await self._ask("GET", url)
        _require_no_redirect(answer)
        if answer.status != 200:
            raise CheckFailed(f"{url} answers {answer.status}: the proxy must pass /.well-known/ on to longshore")
        found, expected = answer.decoded(dict[str, Any]), protected_resource.metadata(self._config, server)
        for name in ("resource", "authorization_servers"):
            if found.get(name) != expected[name]:
                raise CheckFailed(
                    f"{url} says {name} is {found.get(name)!r}, this configuration {expected[name]!r}: another "
                    "configuration is served there"
                )
        self._say(f"{url}: the resource is {expected['resource']}")

    async def _challenge(self, server: Server, slash: str) -> None:
        url = protected_resource.resource_url(self._config, server) + slash
        answer = await self._ask("POST", url)
        _require_no_redirect(answer)
        if answer.status != 401:
            raise CheckFailed(f"{url} answers {answer.status} to a call without a token, instead of 401")
        challenge = answer.headers.get("WWW-Authenticate", "")
        expected = protected_resource.challenge(self._config, server)
        if challenge != expected:
            raise CheckFailed(f"{url} asks for a token with {challenge!r}, and should with {expected!r}")
        self._say(f"{url}: 401 without a token, and says where to get one" if "=" in expected else f"{url}: 401")

    async def _issuer(self, issuer: str) -> None:
        found = await self._issuer_metadata(issuer)
        if "S256" not in (found.code_challenge_methods_supported or ()):
            raise CheckFailed(f"{issuer} does not say that it takes PKCE with S256: MCP clients go no further")
        keys_url = self._config.core.auth.oauth.jwks_url or found.jwks_uri
        if keys_url is None:
            raise CheckFailed(f"{issuer} names no jwks_uri: set core.auth.oauth.jwks_url")
        answer = await self._ask("GET", keys_url)
        if answer.status != 200 or not (keys := usable_keys(answer.decoded(JwkSet))):
            raise CheckFailed(f"{keys_url} answers {answer.status} and holds no key for signatures that has a kid")
        self._say(f"{keys_url}: {len(keys)} keys")
        known = found.scopes_supported
        for scope in protected_resource.all_scopes(self._config):
            if known is not None and scope not in known:
                raise CheckFailed(f"{issuer} does not list the scope {scope}: clients that ask for it are refused")
        if not (found.registration_endpoint or found.client_id_metadata_document_supported):
            self._say(f"{issuer} registers no clients by itself: each has to be given a client id")

    async def _issuer_metadata(self, issuer: str) -> IssuerMetadata:
        for url in metadata_urls(issuer):
            answer = await self._ask("GET", url)
            if answer.status != 200:
                continue
            found: IssuerMetadata = answer.decoded(IssuerMetadata)
            if found.issuer != issuer:
                raise CheckFailed(
                    f"{url} calls itself {found.issuer!r}, core.auth.oauth.issuer {issuer!r}: they must be the same, "
                    "to the slash"
                )
            self._say(f"{url}: metadata of {issuer}")
            return found
        raise CheckFailed(f"{issuer} has no metadata at any of {', '.join(metadata_urls(issuer))}")

    async def _token(self, token: str) -> None:
        tasks = Tasks()
        authenticator = Authenticator(self._config, tasks)
        try:
            principal = await authenticator.authenticate(token)
            self._say(f"the token is {principal.name}'s")
            if principal.token is not None:
                self._say(f"it is made out to {', '.join(sorted(principal.token.audiences)) or 'nobody'}")
                self._say(f"its scopes are {' '.join(sorted(principal.token.scopes)) or 'none'}")
            authenticator.check(principal, None)
            for server in self._config.servers:
                if not principal.may_use(server.id):
                    continue
                try:
                    authenticator.check(principal, server.id)
                except InvalidToken:
                    self._say(f"it is not made out to {server.id}")
                else:
                    await self._call(server, token)
        except LongshoreError as err:
            raise CheckFailed(str(err)) from err
        finally:
            await authenticator.close()
            await tasks.close()

    async def _call(self, server: Server, token: str) -> None:
        url = protected_resource.resource_url(self._config, server)
        answer = await self._ask("POST", url, {"Authorization": f"Bearer {token}"})
        if answer.status in (401, 403):
            raise CheckFailed(
                f"{url} answers {answer.status} to this token, which is good for this configuration: a proxy keeps "
                "the header Authorization back, or another configuration is served there"
            )
        self._say(f"{url}: lets this token in ({answer.status})")
        if (session := answer.headers.get("Mcp-Session-Id")) is not None:
            await self._ask("DELETE", url, {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session})

    async def _ask(self, method: str, url: str, headers: dict[str, str] | None = None) -> _Answer:
        body = msgspec.json.encode(_INITIALIZE) if method == "POST" else None
        head = (_HEADERS if method == "POST" else {"Accept": "application/json"}) | (headers or {})
        try:
            async with self._http.request(
                method, url, data=body, headers=head, timeout=_WITHIN, allow_redirects=False
            ) as answer:
                return _Answer(url, answer.status, dict(answer.headers), await answer.content.read(512 * 1024))
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise CheckFailed(f"{url} cannot be reached: {str(err) or type(err).__name__}") from err


def _require_no_redirect(answer: _Answer) -> None:
    if 300 <= answer.status < 400:
        raise CheckFailed(
            f"{answer.url} redirects to {answer.headers.get('Location', 'nowhere')}: clients do not follow, so the "
            "proxy must pass it on as it is"
        )
