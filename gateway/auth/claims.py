"""What an authorization server says of a token, in a JWT or by introspection, and whether it holds. Pure."""

from dataclasses import dataclass

import msgspec

_SECONDS = (0.0, 2.0**53)


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9068 §2.2, RFC 7662 §2.2; `scp`, `azp` and `resource` as some servers have it."""

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
class Verified:
    """A token that holds until `until_s`."""

    subject: str                 # unique with its issuer; `#<client id>` for a client that acts for nobody
    audiences: frozenset[str]    # without slash at the end
    scopes: frozenset[str]
    until_s: float               # since the epoch, leeway included


class Invalid(Exception):
    """A token that does not hold. Says why, and never repeats what the token says."""


def verified(claims: Claims, *, issuer: str, leeway_s: float, now_s: float) -> Verified:
    """What `claims` come to now. Raises Invalid."""
    if claims.iss != issuer:
        raise Invalid("it is of another issuer")
    if claims.exp is None:
        raise Invalid("it never expires")
    for moment in (claims.exp, claims.nbf or 0.0, claims.iat or 0.0):
        if not _SECONDS[0] <= moment <= _SECONDS[1]:
            raise Invalid("one of its times is none")
    if now_s >= claims.exp + leeway_s:
        raise Invalid("it has expired")
    if now_s < max(claims.nbf or 0.0, claims.iat or 0.0) - leeway_s:
        raise Invalid("it is not valid yet")
    return Verified(_subject(claims), _audiences(claims), _scopes(claims), claims.exp + leeway_s)


def _subject(claims: Claims) -> str:
    client = claims.client_id or claims.azp
    if claims.sub:
        if claims.sub.startswith("#"):
            raise Invalid("its subject begins like a client")
        return claims.sub
    if not client:
        raise Invalid("it names no subject")
    return f"#{client}"


def _audiences(claims: Claims) -> frozenset[str]:
    found = [*_listed(claims.aud), *_listed(claims.resource)]
    return frozenset(plain_url(text) for text in found)


def _scopes(claims: Claims) -> frozenset[str]:
    found = (claims.scope or "").split()
    for text in _listed(claims.scp):
        found += text.split()
    return frozenset(found)


def _listed(value: str | list[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def plain_url(text: str) -> str:
    """An audience as it is compared: clients write the same URL with and without a slash at its end."""
    return text.removesuffix("/")
