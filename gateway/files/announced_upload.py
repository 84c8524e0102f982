"""A file that a client has announced and will send: what is known of it travels in its own signed link. Pure."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

import msgspec

from longshore.shared.errors import Forbidden

_MAX_CHARS = 2_000


class AnnouncedUpload(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One file, not sent yet."""

    file_id: str             # of the record that it will become
    name: str                # "" when the client gave none
    media_type: str          # as the client declared it, "" when it did not
    size_bytes: int | None   # None when the client did not say
    sha256: str              # lowercase hex, "" when the client did not say


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(AnnouncedUpload)


def encode_target(file: AnnouncedUpload) -> str:
    """The file as what a link opens, safe in a path."""
    return urlsafe_b64encode(_encode(file)).rstrip(b"=").decode()


def decode_target(text: str) -> AnnouncedUpload:
    """The file behind a target whose signature holds. Raises Forbidden."""
    try:
        if len(text) > _MAX_CHARS:
            raise ValueError
        return _decoder.decode(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (Error, ValueError, msgspec.DecodeError):
        raise Forbidden("this link is malformed; ask for a new one") from None
