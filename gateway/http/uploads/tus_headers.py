"""Headers of the tus resumable upload protocol 1.0.0: parsing and formatting. Pure.

Extensions: creation, creation-with-upload, expiration, checksum, termination.
"""

import hashlib
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

from longshore.shared.errors import BadRequest, UnsupportedTus, WrongMediaType

VERSION = "1.0.0"
VERSION_HEADER = "Tus-Resumable"
MEDIA_TYPE = "application/offset+octet-stream"
ALGORITHMS = ("sha256", "sha1", "sha512")
_DIGEST_BYTES = {name: hashlib.new(name, usedforsecurity=False).digest_size for name in ALGORITHMS}
_EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Checksum:
    """Parsed `Upload-Checksum` of a request's body; algorithm "" for a request without."""

    algorithm: str = ""
    digest: bytes = b""


def capabilities(*, max_size_bytes: int) -> dict[str, str]:
    """Headers of the answer to OPTIONS."""
    return {
        VERSION_HEADER: VERSION, "Tus-Version": VERSION, "Tus-Extension": _EXTENSIONS,
        "Tus-Max-Size": str(max_size_bytes), "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def error_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that an error answer adds for a tus client."""
    return {VERSION_HEADER: VERSION, "Tus-Version": VERSION} if VERSION_HEADER in headers else {}


def check_version(headers: Mapping[str, str]) -> None:
    """Raise UnsupportedTus for a request of another version, or of none."""
    if headers.get(VERSION_HEADER) != VERSION:
        raise UnsupportedTus(f"send {VERSION_HEADER}: {VERSION}, the only supported version")


def check_media_type(content_type: str) -> None:
    """Raise WrongMediaType for a body that does not declare itself as the file's bytes."""
    if content_type != MEDIA_TYPE:
        raise WrongMediaType(f"send the bytes as Content-Type: {MEDIA_TYPE}")


def parse_bytes(headers: Mapping[str, str], name: str) -> int:
    """Parse a header that holds a number of bytes. Raises BadRequest."""
    text = headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise BadRequest(f"the header {name} is missing or is not a number of bytes")
    return int(text)


def parse_metadata(text: str) -> dict[str, str]:
    """Decode `Upload-Metadata`. Raises BadRequest."""
    found: dict[str, str] = {}
    for pair in text.split(",") if text.strip() else ():
        name, _, value = pair.strip().partition(" ")
        if not name or name in found:
            raise BadRequest("Upload-Metadata has an empty or a repeated key")
        try:
            found[name] = b64decode(value.encode(), validate=True).decode()
        except (Error, UnicodeError):
            raise BadRequest("a value in Upload-Metadata is not base64 of UTF-8") from None
    return found


def parse_checksum(text: str | None) -> Checksum:
    """Parse `Upload-Checksum`. Raises BadRequest."""
    if text is None:
        return Checksum()
    algorithm, _, value = text.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadRequest(f"Upload-Checksum supports {', '.join(ALGORITHMS)}")
    try:
        digest = b64decode(value.encode(), validate=True)
    except (Error, UnicodeError):
        digest = b""
    if len(digest) != _DIGEST_BYTES[algorithm]:
        raise BadRequest("the digest in Upload-Checksum is not base64 of a digest of its algorithm")
    return Checksum(algorithm, digest)


def format_expires(now_s: float, ttl_ms: int) -> str:
    """Format `Upload-Expires`: the end of an upload that receives nothing more."""
    return formatdate(now_s + ttl_ms / 1000, usegmt=True)
