"""Checks authorization as a client meets it, from a mount's URL to the first call; stops at the first fault."""

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

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "longshore doctor", "version": running_version()},
    },
}
_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True)
class _Response:
    url: str
    status: int
    headers: dict[str, str]
    body: bytes

    def decode(self, kind: Any) -> Any:
        """Decode the body as a `kind`. Raises CheckFailed."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as err:
            raise CheckFailed(f"{self.url} answers {self.status} with an unexpected body: {err}") from err


class AuthCheck:
    """One run of all checks. `report` takes a sentence for each step without a fault."""

    def __init__(self, config: Config, http: aiohttp.ClientSession, report: Callable[[str], None]) -> None:
        self._config = config
        self._http = http
        self._report = report

    async def run(self, token: str | None) -> None:
        """Run every step. Raises CheckFailed at the first fault."""
        core = self._config.core
        if not core.auth.enabled:
            raise CheckFailed("core.auth.enabled is false: everybody may call, without a token")
        if core.public_base_url is None:
            raise CheckFailed("core.public_base_url is not set: set it to the URL that clients use")
        if core.auth.oauth.issuer is None:
            self._report("no core.auth.oauth.issuer: static tokens only, no metadata for clients")
        else:
            for server in (None, *self._config.servers):
                await self._check_metadata(server)
        for server in self._config.servers:
            for slash in ("", "/"):
                await self._check_challenge(server, slash)
        if core.auth.oauth.issuer is not None:
            await self._check_issuer(core.auth.oauth.issuer)
        if token is not None:
            await self._check_token(token)

    async def _check_metadata(self, server: Server | None) -> None:
        url = protected_resource.metadata_url(self._config, server)
        response = await self._request("GET", url)
        _require_no_redirect(response)
        if response.status != 200:
            raise CheckFailed(f"{url} answers {response.status}: the proxy must forward /.well-known/ to longshore")
        found, expected = response.decode(dict[str, Any]), protected_resource.metadata(self._config, server)
        for name in ("resource", "authorization_servers"):
            if found.get(name) != expected[name]:
                raise CheckFailed(
                    f"{url} says {name} is {found.get(name)!r}, this configuration {expected[name]!r}: the service "
                    "there runs with another configuration"
                )
        self._report(f"{url}: the resource is {expected['resource']}")

    async def _check_challenge(self, server: Server, slash: str) -> None:
        url = protected_resource.resource_url(self._config, server) + slash
        response = await self._request("POST", url)
        _require_no_redirect(response)
        if response.status != 401:
            raise CheckFailed(f"{url} answers {response.status} to a call without a token, instead of 401")
        challenge = response.headers.get("WWW-Authenticate", "")
        expected = protected_resource.challenge(self._config, server)
        if challenge != expected:
            raise CheckFailed(f"{url} sends the challenge {challenge!r} instead of {expected!r}")
        self._report(f"{url}: 401 without a token" + (", with the URL of its metadata" if "=" in expected else ""))

    async def _check_issuer(self, issuer: str) -> None:
        found = await self._issuer_metadata(issuer)
        if "S256" not in (found.code_challenge_methods_supported or ()):
            raise CheckFailed(f"{issuer} does not announce PKCE with S256: MCP clients stop there")
        keys_url = self._config.core.auth.oauth.jwks_url or found.jwks_uri
        if keys_url is None:
            raise CheckFailed(f"{issuer} names no jwks_uri: set core.auth.oauth.jwks_url")
        response = await self._request("GET", keys_url)
        if response.status != 200 or not (keys := usable_keys(response.decode(JwkSet))):
            raise CheckFailed(f"{keys_url} answers {response.status} without a signing key that has a kid")
        self._report(f"{keys_url}: {len(keys)} keys")
        known = found.scopes_supported
        for scope in protected_resource.all_scopes(self._config):
            if known is not None and scope not in known:
                raise CheckFailed(f"{issuer} does not list the scope {scope}: clients that ask for it are refused")
        if not (found.registration_endpoint or found.client_id_metadata_document_supported):
            self._report(f"{issuer} does not register clients: configure a client id in each client")

    async def _issuer_metadata(self, issuer: str) -> IssuerMetadata:
        for url in metadata_urls(issuer):
            response = await self._request("GET", url)
            if response.status != 200:
                continue
            found: IssuerMetadata = response.decode(IssuerMetadata)
            if found.issuer != issuer:
                raise CheckFailed(
                    f"{url} says issuer {found.issuer!r}, core.auth.oauth.issuer is {issuer!r}: they must be equal, "
                    "including the slash"
                )
            self._report(f"{url}: metadata of {issuer}")
            return found
        raise CheckFailed(f"{issuer} has no metadata at any of {', '.join(metadata_urls(issuer))}")

    async def _check_token(self, token: str) -> None:
        tasks = Tasks()
        authenticator = Authenticator(self._config, tasks)
        try:
            principal = await authenticator.authenticate(token)
            self._report(f"the token belongs to {principal.name}")
            if principal.token is not None:
                self._report(f"its audience is {', '.join(sorted(principal.token.audiences)) or 'empty'}")
                self._report(f"its scopes are {' '.join(sorted(principal.token.scopes)) or 'none'}")
            authenticator.check(principal, None)
            for server in self._config.servers:
                if not principal.may_use(server.id):
                    continue
                try:
                    authenticator.check(principal, server.id)
                except InvalidToken:
                    self._report(f"its audience does not include {server.id}")
                else:
                    await self._check_call(server, token)
        except LongshoreError as err:
            raise CheckFailed(str(err)) from err
        finally:
            await authenticator.close()
            await tasks.close()

    async def _check_call(self, server: Server, token: str) -> None:
        url = protected_resource.resource_url(self._config, server)
        response = await self._request("POST", url, {"Authorization": f"Bearer {token}"})
        if response.status in (401, 403):
            raise CheckFailed(
                f"{url} answers {response.status} to this token, which this configuration accepts: a proxy removes "
                "the header Authorization, or the service there runs with another configuration"
            )
        self._report(f"{url}: accepts this token ({response.status})")
        if (session := response.headers.get("Mcp-Session-Id")) is not None:
            await self._request("DELETE", url, {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session})

    async def _request(self, method: str, url: str, headers: dict[str, str] | None = None) -> _Response:
        body = msgspec.json.encode(_INITIALIZE) if method == "POST" else None
        head = (_HEADERS if method == "POST" else {"Accept": "application/json"}) | (headers or {})
        try:
            async with self._http.request(
                method, url, data=body, headers=head, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                return _Response(url, response.status, dict(response.headers), await response.content.read(512 * 1024))
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise CheckFailed(f"{url} cannot be reached: {str(err) or type(err).__name__}") from err


def _require_no_redirect(response: _Response) -> None:
    if 300 <= response.status < 400:
        raise CheckFailed(
            f"{response.url} redirects to {response.headers.get('Location', 'nowhere')}: clients do not follow; the "
            "proxy must forward the request unchanged"
        )
