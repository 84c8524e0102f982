"""Verification of access tokens that are JWTs (RFC 9068), by the keys of their issuer."""

from collections.abc import Collection
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry
from joserfc.registry import Header

from longshore.gateway.auth.claims import Claims, VerificationFailed
from longshore.gateway.auth.jwks import KeySet

_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
_decode = msgspec.json.Decoder(Claims).decode


class _AllowedAlgorithms(JWSRegistry):
    """Registry of exactly the configured algorithms, whatever the library recommends."""

    max_header_length = 2048

    def get_alg(self, name: str) -> Any:    # the library exports no name for this type
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


class JwtVerifier:
    """Verifies the signatures of JWTs. Built once at start-up."""

    def __init__(self, algorithms: Collection[str], keys: KeySet) -> None:
        self._registry = _AllowedAlgorithms(algorithms=algorithms, strict_check_header=False)
        self._keys = keys

    async def verify(self, token: str) -> Claims:
        """Verify the signature and return the claims. Raises VerificationFailed, IssuerDown.

        Everything else is checked before the key is looked up: a malformed token causes no request to the issuer.
        """
        try:
            signed = jws.extract_compact(token.encode("ascii"), registry=self._registry)
            header = signed.headers()
            self._registry.check_header(header)
            _ = self._registry.get_alg(header["alg"])
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as err:
            raise VerificationFailed("it is not a JWT with an allowed algorithm") from err
        key = await self._keys.find(_key_id(header))
        if key is None:
            raise VerificationFailed("its issuer has no such signing key")
        if key.alg not in (None, header["alg"]):
            raise VerificationFailed("its key is for another algorithm")
        try:
            if not jws.validate_compact(signed, key, registry=self._registry):
                raise VerificationFailed("its signature is wrong")
            return _decode(signed.payload or b"")
        except (JoseError, msgspec.DecodeError, ValueError, TypeError, KeyError) as err:
            raise VerificationFailed("its signature is wrong, or its claims cannot be read") from err


def is_jwt(token: str) -> bool:
    """Return True for a token in the form of a JWT: three parts, the first of which begins as JSON in base64url."""
    return token.startswith("ey") and token.count(".") == 2


def _key_id(header: Header) -> str:
    """Check the header and return its key id. Raises VerificationFailed."""
    if "crit" in header:
        raise VerificationFailed("it requires an extension")
    kind, key_id = header.get("typ", "JWT"), header.get("kid")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise VerificationFailed("its type is not that of an access token")
    if not isinstance(key_id, str) or not key_id:
        raise VerificationFailed("it names no key")
    return key_id
