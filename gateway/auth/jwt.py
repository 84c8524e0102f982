"""Access tokens that are JWTs (RFC 9068), checked with the keys of their issuer."""

from collections.abc import Collection
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry
from joserfc.registry import Header

from longshore.gateway.auth.claims import Claims, Invalid
from longshore.gateway.auth.jwks import KeySet

_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
_decode = msgspec.json.Decoder(Claims).decode


class _Allowed(JWSRegistry):
    """The algorithms of the configuration and no other, whatever the library thinks of them."""

    max_header_length = 2048

    def get_alg(self, name: str) -> Any:    # the library exports no name for what it takes back here
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


class Jwts:
    """Checks signatures. Built once at start-up."""

    def __init__(self, algorithms: Collection[str], keys: KeySet) -> None:
        self._registry = _Allowed(algorithms=algorithms, strict_check_header=False)
        self._keys = keys

    async def claims(self, token: str) -> Claims:
        """What the issuer signed. Raises Invalid, IssuerDown.

        No key is looked for before it is known that one could do: what is wrong in itself costs the issuer nothing.
        """
        try:
            signed = jws.extract_compact(token.encode("ascii"), registry=self._registry)
            header = signed.headers()
            self._registry.check_header(header)
            _ = self._registry.get_alg(header["alg"])
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as err:
            raise Invalid("it is no JWT of an allowed algorithm") from err
        key = await self._keys.find(_key_id(header))
        if key is None:
            raise Invalid("it is signed with a key that its issuer does not have")
        if key.alg not in (None, header["alg"]):
            raise Invalid("its key is for another algorithm")
        try:
            if not jws.validate_compact(signed, key, registry=self._registry):
                raise Invalid("its signature is wrong")
            return _decode(signed.payload or b"")
        except (JoseError, msgspec.DecodeError, ValueError, TypeError, KeyError) as err:
            raise Invalid("its signature is wrong, or its claims cannot be read") from err


def is_jwt(token: str) -> bool:
    """Whether `token` looks like one: three parts, the first of which begins like JSON in base64url. Pure."""
    return token.startswith("ey") and token.count(".") == 2


def _key_id(header: Header) -> str:
    """The id of the key, of a header that a JWT may have. Raises Invalid."""
    if "crit" in header:
        raise Invalid("it asks for an extension")
    kind, key_id = header.get("typ", "JWT"), header.get("kid")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Invalid("it is no access token by its type")
    if not isinstance(key_id, str) or not key_id:
        raise Invalid("it does not name its key")
    return key_id
