"""Tokens of the configured authorization server: whose they are, and what they are good for."""

import asyncio
from collections import OrderedDict

import aiohttp

from longshore.gateway.auth.claims import Claims, Invalid, Verified, verified
from longshore.gateway.auth.introspection import Introspector
from longshore.gateway.auth.issuer_http import get_json
from longshore.gateway.auth.issuer_metadata import issuer_metadata
from longshore.gateway.auth.jwks import Document, KeySet
from longshore.gateway.auth.jwt import Jwts, is_jwt
from longshore.shared.clock import now_s
from longshore.shared.config import OAuth
from longshore.shared.errors import InvalidToken, IssuerDown
from longshore.shared.tasks import Tasks

_MOST_BYTES = 8192
_MOST_KEPT = 10_000
_KEPT_S = 300.0              # so that a withdrawn key or token does not go on for long
_LOOKED_UP_S = 30.0          # likewise, by introspection
_REFUSED_S = 10.0            # how long an opaque token that was refused is not asked about again

Kept = tuple[Verified | Invalid, float]


class TokenVerifier:
    """Checks tokens and remembers, by their digests, what came of it. Built once at start-up."""

    def __init__(self, setting: OAuth, tasks: Tasks) -> None:
        self._setting = setting
        self._issuer = setting.issuer or ""
        self._session: aiohttp.ClientSession | None = None
        self._jwts = Jwts(setting.algorithms, KeySet(self._fetch_keys, tasks))
        self._introspector = Introspector(setting.introspection, self._issuer, self._http)
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._asking: dict[bytes, asyncio.Lock] = {}

    def known(self, digest: bytes) -> Verified | None:
        """What is remembered of a token that held when it was last looked at, and still does."""
        outcome, until_s = self._kept.get(digest, (None, 0.0))
        return outcome if isinstance(outcome, Verified) and now_s() < until_s else None

    async def verify(self, token: str, digest: bytes) -> Verified:
        """What `token` is good for. Raises InvalidToken, IssuerDown."""
        if len(token) > _MOST_BYTES:
            raise InvalidToken("the token is too long to be one")
        if (known := self.known(digest)) is not None:
            return known
        try:
            if is_jwt(token):
                return self._keep(digest, self._judged(await self._jwts.claims(token)))
            return await self._looked_up(token, digest)
        except Invalid as err:
            raise InvalidToken(f"the token is not valid here: {err}") from None

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()

    async def _looked_up(self, token: str, digest: bytes) -> Verified:
        """By introspection: however many send one token at once, it is asked about once."""
        lock = self._asking.setdefault(digest, asyncio.Lock())
        try:
            async with lock:
                outcome, until_s = self._kept.get(digest, (None, 0.0))
                if outcome is None or now_s() >= until_s:
                    outcome = await self._asked(token, digest)
        finally:
            self._asking.pop(digest, None)
        if isinstance(outcome, Invalid):
            raise outcome
        return outcome

    async def _asked(self, token: str, digest: bytes) -> Verified:
        try:
            claims = await self._introspector.claims(token)
        except Invalid as err:
            self._remember(digest, (err, now_s() + _REFUSED_S))
            raise
        return self._keep(digest, self._judged(claims), _LOOKED_UP_S)

    def _judged(self, claims: Claims) -> Verified:
        return verified(claims, issuer=self._issuer, leeway_s=self._setting.leeway_seconds, now_s=now_s())

    def _keep(self, digest: bytes, found: Verified, most_s: float = _KEPT_S) -> Verified:
        self._remember(digest, (found, min(found.until_s, now_s() + most_s)))
        return found

    def _remember(self, digest: bytes, kept: Kept) -> None:
        self._kept[digest] = kept
        self._kept.move_to_end(digest)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)

    async def _fetch_keys(self) -> Document:
        http = await self._http()
        url = self._setting.jwks_url or (await issuer_metadata(http, self._issuer)).jwks_uri
        document = None if url is None else await get_json(http, url, Document)
        if document is None:
            raise IssuerDown("the authorization server publishes no keys")
        return document

    async def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session
