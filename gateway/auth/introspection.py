"""Access tokens that only their issuer can read: asked about by RFC 7662."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import aiohttp
import msgspec

from longshore.gateway.auth.claims import Claims, Invalid
from longshore.gateway.auth.issuer_http import post_form
from longshore.shared.clock import now_s
from longshore.shared.config import Introspection
from longshore.shared.errors import IssuerDown

_AT_ONCE = 16
_UNSAID_S = 60.0             # how long a token holds of which the issuer does not say so


class _Answer(Claims, frozen=True, kw_only=True):
    active: bool


class Introspector:
    """Asks one endpoint. Built once at start-up."""

    def __init__(
        self, setting: Introspection, issuer: str, http: Callable[[], Awaitable[aiohttp.ClientSession]]
    ) -> None:
        self._setting = setting
        self._issuer = issuer
        self._http = http
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def claims(self, token: str) -> Claims:
        """What the issuer says of `token`. Raises Invalid, IssuerDown, also when too many ask at once."""
        url = self._setting.url
        if url is None:
            raise Invalid("it is no JWT, and introspection is not configured")
        if self._places.locked():
            raise IssuerDown("too many tokens are being looked up; try again shortly")
        async with self._places:
            form = {"token": token, "token_type_hint": "access_token"}
            answer = await post_form(await self._http(), url, form, _Answer, headers=self._login())
        if answer is None:
            raise IssuerDown("the introspection endpoint is not there; its operator has to look")
        if not answer.active:
            raise Invalid("its issuer does not know it, or it has expired or was revoked")
        return msgspec.structs.replace(
            answer, iss=answer.iss or self._issuer, exp=now_s() + _UNSAID_S if answer.exp is None else answer.exp
        )

    def _login(self) -> dict[str, str]:
        """The client, in the form of RFC 6749 §2.3.1."""
        if self._setting.client_id is None:
            return {}
        name, secret = (quote(text, safe="") for text in (self._setting.client_id, self._setting.client_secret or ""))
        return {"Authorization": aiohttp.encode_basic_auth(name, secret)}
