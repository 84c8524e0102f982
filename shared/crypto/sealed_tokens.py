"""Text that clients carry for us, which they can neither read nor change: AES-256-GCM. Pure.

Keys are derived (HKDF, RFC 5869) from the ring of secrets that signs links: the newest seals, all of them open.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_MAX_CHARS = 4096


class Sealer:
    """Seals text for one purpose, and opens what was sealed for it by any gateway with the same secrets."""

    def __init__(self, secrets: list[str], purpose: str) -> None:
        ring = [_derived(secret, purpose) for secret in secrets]
        self._ring = {key_id: AESGCM(key) for key_id, key in reversed(ring)}
        self._current = ring[0][0]

    def seal(self, content: bytes) -> str:
        """URL-safe text that only this ring opens."""
        nonce = token_bytes(_NONCE_BYTES)
        sealed = self._ring[self._current].encrypt(nonce, content, self._current)
        return urlsafe_b64encode(self._current + nonce + sealed).rstrip(b"=").decode()

    def unseal(self, text: str) -> bytes | None:
        """What was sealed; None for anything else, a single changed character included."""
        if len(text) > _MAX_CHARS or not text.isascii():
            return None
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        # The decoder passes over foreign characters and spare bits, which would let one text be written in two ways.
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


def _derived(secret: str, purpose: str) -> tuple[bytes, bytes]:
    """The id of a key and the key."""
    wanted = f"longshore sealed text v1 {purpose}".encode()
    material = HKDF(SHA256(), length=32 + _KEY_ID_BYTES, salt=None, info=wanted).derive(secret.encode())
    return material[32:], material[:32]
