"""Sealed tokens: encrypted text that clients store for longshore and can neither read nor change (AES-256-GCM). Pure.

Keys are derived (HKDF, RFC 5869) from the ring of secrets that signs links: the newest seals, all of them unseal.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import token_bytes
from typing import Generic, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_MAX_CHARS = 4096

T = TypeVar("T", bound=msgspec.Struct)


class Sealer:
    """Seals content for one purpose, and unseals what any gateway with the same secrets has sealed for it."""

    def __init__(self, secrets: list[str], purpose: str) -> None:
        ring = [_derived(secret, purpose) for secret in secrets]
        self._ring = {key_id: AESGCM(key) for key_id, key in reversed(ring)}
        self._current = ring[0][0]

    def seal(self, content: bytes) -> str:
        """Return URL-safe text that only this ring unseals."""
        nonce = token_bytes(_NONCE_BYTES)
        sealed = self._ring[self._current].encrypt(nonce, content, self._current)
        return urlsafe_b64encode(self._current + nonce + sealed).rstrip(b"=").decode()

    def unseal(self, text: str) -> bytes | None:
        """Return the sealed content; None for any other text, even if a single character was changed."""
        if len(text) > _MAX_CHARS or not text.isascii():
            return None
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        # The decoder skips foreign characters and spare bits, so that two texts would have the same content.
        if urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
            return None
        key_id, nonce = raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:_KEY_ID_BYTES + _NONCE_BYTES]
        cipher = self._ring.get(key_id)
        if cipher is None or len(nonce) < _NONCE_BYTES:
            return None
        try:
            return cipher.decrypt(nonce, raw[_KEY_ID_BYTES + _NONCE_BYTES:], key_id)
        except InvalidTag:
            return None


class SealedRecord(Generic[T]):
    """Codec of a record type in sealed tokens. The tag of the type is its version."""

    def __init__(self, record_type: type[T]) -> None:
        self._decoder = msgspec.msgpack.Decoder(record_type)

    def seal(self, sealer: Sealer, record: T) -> str:
        """Return the sealed token of `record`."""
        return sealer.seal(msgspec.msgpack.encode(record))

    def unseal(self, sealer: Sealer, token: str) -> T | None:
        """Return the record of a sealed token; None for other text and for records of another version."""
        content = sealer.unseal(token)
        try:
            return self._decoder.decode(content) if content is not None else None
        except msgspec.DecodeError:
            return None


def _derived(secret: str, purpose: str) -> tuple[bytes, bytes]:
    """Return the id of a key, and the key."""
    info = f"longshore sealed text v1 {purpose}".encode()
    material = HKDF(SHA256(), length=32 + _KEY_ID_BYTES, salt=None, info=info).derive(secret.encode())
    return material[32:], material[:32]
