"""Claims of an access token, from a JWT or from introspection, and their verification. Pure."""

from dataclasses import dataclass

import msgspec

_TIME_RANGE_S = (0.0, 2.0**53)


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Claims of RFC 9068 §2.2 and RFC 7662 §2.2, and `scp`, `azp` and `resource`, which some servers use."""

    iss: str | None = None
    sub: str | None = None
    aud: str | list[str] | None = None
    resource: str | list[str] | None = None
    exp: float | None = None
    nbf: float | None = None
    iat: float | None = None
    scope: str | None = None
    scp: str | list[str] | None = None
    client_id: str | None = None
    azp: str | None = None


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """An access token that is valid until `expires_s`."""

    subject: str                 # unique with its issuer; `#<client id>` for a client that acts for no user
    audiences: frozenset[str]    # without a slash at the end
    scopes: frozenset[str]
    expires_s: float             # since the epoch, leeway included


class VerificationFailed(Exception):
    """A token is not valid. The message says why, and never repeats anything of the token."""


def verify_claims(claims: Claims, *, issuer: str, leeway_s: float, now_s: float) -> VerifiedToken:
    """Verify the issuer and the times of `claims`. Raises VerificationFailed."""
    if claims.iss != issuer:
        raise VerificationFailed("another issuer made it")
    if claims.exp is None:
        raise VerificationFailed("it has no expiry")
    for time_s in (claims.exp, claims.nbf or 0.0, claims.iat or 0.0):
        if not _TIME_RANGE_S[0] <= time_s <= _TIME_RANGE_S[1]:
            raise VerificationFailed("one of its times is out of range")
    if now_s >= claims.exp + leeway_s:
        raise VerificationFailed("it has expired")
    if now_s < max(claims.nbf or 0.0, claims.iat or 0.0) - leeway_s:
        raise VerificationFailed("it is not valid yet")
    return VerifiedToken(_subject(claims), _audiences(claims), _scopes(claims), claims.exp + leeway_s)


def _subject(claims: Claims) -> str:
    client = claims.client_id or claims.azp
    if claims.sub:
        if claims.sub.startswith("#"):
            raise VerificationFailed("its subject begins with #")
        return claims.sub
    if not client:
        raise VerificationFailed("it has no subject")
    return f"#{client}"


def _audiences(claims: Claims) -> frozenset[str]:
    found = [*_as_list(claims.aud), *_as_list(claims.resource)]
    return frozenset(normalise_audience(text) for text in found)


def _scopes(claims: Claims) -> frozenset[str]:
    found = (claims.scope or "").split()
    for text in _as_list(claims.scp):
        found += text.split()
    return frozenset(found)


def _as_list(value: str | list[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def normalise_audience(text: str) -> str:
    """Return an audience without the slash at its end: clients write the same URL with and without."""
    return text.removesuffix("/")
