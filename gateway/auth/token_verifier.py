"""Verifies access tokens of the configured authorization server, and caches the outcomes."""

import asyncio
from collections import OrderedDict

import aiohttp

from longshore.gateway.auth.claims import Claims, VerificationFailed, VerifiedToken, verify_claims
from longshore.gateway.auth.introspection import Introspector
from longshore.gateway.auth.issuer_http import request_json
from longshore.gateway.auth.issuer_metadata import issuer_metadata
from longshore.gateway.auth.jwks import JwkSet, KeySet
from longshore.gateway.auth.jwt import JwtVerifier, is_jwt
from longshore.shared.clock import now_s
from longshore.shared.config import OAuth
from longshore.shared.errors import InvalidToken, IssuerDown
from longshore.shared.tasks import Tasks

_MAX_TOKEN_CHARS = 8192
_MAX_CACHED = 10_000
_CACHE_S = 300.0             # of a JWT: at most so long is a token valid after its key was withdrawn
_INTROSPECTED_CACHE_S = 30.0  # of an opaque token: at most so long is it valid after it was revoked
_REJECTED_CACHE_S = 10.0     # of an opaque token that was rejected

CachedOutcome = tuple[VerifiedToken | VerificationFailed, float]    # with the end of its time in the cache


class TokenVerifier:
    """Verifier of JWTs and opaque tokens with a cache by their digests. Built once at start-up."""

    def __init__(self, setting: OAuth, tasks: Tasks) -> None:
        self._setting = setting
        self._issuer = setting.issuer or ""
        self._session: aiohttp.ClientSession | None = None
        self._jwts = JwtVerifier(setting.algorithms, KeySet(self._fetch_keys, tasks))
        self._introspector = Introspector(setting.introspection, self._issuer, self._http)
        self._outcomes: OrderedDict[bytes, CachedOutcome] = OrderedDict()
        self._locks: dict[bytes, asyncio.Lock] = {}

    def cached(self, digest: bytes) -> VerifiedToken | None:
        """Return the cached outcome for a valid token; None when there is none, or it has expired."""
        outcome, until_s = self._outcomes.get(digest, (None, 0.0))
        return outcome if isinstance(outcome, VerifiedToken) and now_s() < until_s else None

    async def verify(self, token: str, digest: bytes) -> VerifiedToken:
        """Verify a token. Raises InvalidToken, IssuerDown."""
        if len(token) > _MAX_TOKEN_CHARS:
            raise InvalidToken("the token is too long")
        if (known := self.cached(digest)) is not None:
            return known
        try:
            if is_jwt(token):
                return self._cache_valid(digest, self._check_claims(await self._jwts.verify(token)))
            return await self._introspect_once(token, digest)
        except VerificationFailed as err:
            raise InvalidToken(f"the token is not valid: {err}") from None

    async def close(self) -> None:
        """Close the connections to the authorization server."""
        if self._session is not None:
            await self._session.close()

    async def _introspect_once(self, token: str, digest: bytes) -> VerifiedToken:
        """Introspect a token; concurrent requests with the same token share one introspection."""
        lock = self._locks.setdefault(digest, asyncio.Lock())
        try:
            async with lock:
                outcome, until_s = self._outcomes.get(digest, (None, 0.0))
                if outcome is None or now_s() >= until_s:
                    outcome = await self._introspect(token, digest)
        finally:
            self._locks.pop(digest, None)
        if isinstance(outcome, VerificationFailed):
            raise outcome
        return outcome

    async def _introspect(self, token: str, digest: bytes) -> VerifiedToken:
        try:
            claims = await self._introspector.introspect(token)
        except VerificationFailed as err:
            self._cache(digest, (err, now_s() + _REJECTED_CACHE_S))
            raise
        return self._cache_valid(digest, self._check_claims(claims), _INTROSPECTED_CACHE_S)

    def _check_claims(self, claims: Claims) -> VerifiedToken:
        return verify_claims(claims, issuer=self._issuer, leeway_s=self._setting.leeway_seconds, now_s=now_s())

    def _cache_valid(self, digest: bytes, token: VerifiedToken, max_age_s: float = _CACHE_S) -> VerifiedToken:
        self._cache(digest, (token, min(token.expires_s, now_s() + max_age_s)))
        return token

    def _cache(self, digest: bytes, outcome: CachedOutcome) -> None:
        self._outcomes[digest] = outcome
        self._outcomes.move_to_end(digest)
        while len(self._outcomes) > _MAX_CACHED:
            self._outcomes.popitem(last=False)

    async def _fetch_keys(self) -> JwkSet:
        http = await self._http()
        url = self._setting.jwks_url or (await issuer_metadata(http, self._issuer)).jwks_uri
        document = None if url is None else await request_json(http, url, JwkSet)
        if document is None:
            raise IssuerDown("the authorization server publishes no keys")
        return document

    async def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session
