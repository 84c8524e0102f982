"""Upload that a client has announced: its description is encoded in its signed link, not stored. Pure."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

import msgspec

from longshore.shared.errors import Forbidden

_MAX_CHARS = 2_000


class AnnouncedUpload(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Description of one file that is not sent yet."""

    file_id: str             # of the later record
    name: str                # "" if the client gave none
    media_type: str          # as the client declared it, "" for none
    size_bytes: int | None   # as the client declared it
    sha256: str              # lowercase hex, "" if the client declared none


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(AnnouncedUpload)


def encode_target(file: AnnouncedUpload) -> str:
    """Encode the description as the target of a signed link, safe in a URL path."""
    return urlsafe_b64encode(_encode(file)).rstrip(b"=").decode()


def decode_target(text: str) -> AnnouncedUpload:
    """Decode the target of a link whose signature is valid. Raises Forbidden."""
    try:
        if len(text) > _MAX_CHARS:
            raise ValueError
        return _decoder.decode(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (Error, ValueError, msgspec.DecodeError):
        raise Forbidden("this link is malformed; ask for a new one") from None
