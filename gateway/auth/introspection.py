"""Token introspection (RFC 7662): asks the issuer about access tokens that only it can read."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import quote

import aiohttp
import msgspec

from longshore.gateway.auth.claims import Claims, VerificationFailed
from longshore.gateway.auth.issuer_http import request_json
from longshore.shared.clock import now_s
from longshore.shared.config import Introspection
from longshore.shared.errors import IssuerDown

_CONCURRENCY = 16
_DEFAULT_LIFETIME_S = 60.0   # of a token whose expiry the issuer does not say


class _IntrospectionResponse(Claims, frozen=True, kw_only=True):
    active: bool


class Introspector:
    """Client of one introspection endpoint. Built once at start-up."""

    def __init__(
        self, setting: Introspection, issuer: str, http: Callable[[], Awaitable[aiohttp.ClientSession]]
    ) -> None:
        self._setting = setting
        self._issuer = issuer
        self._http = http
        self._slots = asyncio.Semaphore(_CONCURRENCY)

    async def introspect(self, token: str) -> Claims:
        """Return the issuer's claims of an active token.

        Raises VerificationFailed; IssuerDown, also when too many requests are under way.
        """
        url = self._setting.url
        if url is None:
            raise VerificationFailed("it is not a JWT, and introspection is not configured")
        if self._slots.locked():
            raise IssuerDown("too many tokens are being introspected; try again shortly")
        form = {"token": token, "token_type_hint": "access_token"}
        async with self._slots:
            answer = await request_json(
                await self._http(), url, _IntrospectionResponse, form=form, headers=self._basic_auth()
            )
        if answer is None:
            raise IssuerDown("the introspection endpoint does not exist; check core.auth.oauth.introspection.url")
        if not answer.active:
            raise VerificationFailed("its issuer reports that it is not active")
        expires_s = now_s() + _DEFAULT_LIFETIME_S if answer.exp is None else answer.exp
        return msgspec.structs.replace(answer, iss=answer.iss or self._issuer, exp=expires_s)

    def _basic_auth(self) -> dict[str, str]:
        """Client authentication in the form of RFC 6749 §2.3.1."""
        if self._setting.client_id is None:
            return {}
        name, secret = (quote(text, safe="") for text in (self._setting.client_id, self._setting.client_secret or ""))
        return {"Authorization": aiohttp.encode_basic_auth(name, secret)}
