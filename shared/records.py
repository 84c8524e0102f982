"""Records in Redis: versioned msgspec structs in msgpack.

The tag is the record's kind and version; it is always on the wire. A new field has a default, a new
meaning is a new class with a new tag; an unknown tag is refused, never misread.
"""

import msgspec

from longshore.shared.errors import Unavailable


class Record(msgspec.Struct, frozen=True, kw_only=True, array_like=False, omit_defaults=True):
    """Base class of stored records."""


class UploadRecord(Record, frozen=True, kw_only=True, tag=1):
    """Uploaded file, usable in tool calls by its handle until it expires.

    Written once by `finalise_upload`, never changed. Redis: a field of `keys.files(scope)`. The end
    of its life is a score in `keys.upload_ends` or `keys.artifact_ends`, moved on each use; clean-up removes both.
    """

    id: str               # 22 chars, url-safe, 128 random bits
    scope: str            # the session id; other scopes get NotFound
    server: str           # server id from the configuration
    name: str             # as the client named it, for display; never a path
    stored_name: str      # one path component, at most 255 bytes
    media_type: str       # sniffed from content, else from the name
    size_bytes: int
    sha256: str           # lowercase hex of the whole file
    created_ms: int       # since the epoch


class ArtifactRecord(Record, frozen=True, kw_only=True, tag=2):
    """File that an upstream tool wrote, readable at its URI until it expires.

    Written once by `finalise_artifact`, never changed. Redis: a field of `keys.files(scope)`. The end
    of its life is a score in `keys.upload_ends` or `keys.artifact_ends`, moved on each use; clean-up removes both.
    """

    id: str               # 22 chars, url-safe, 128 random bits
    scope: str            # the session id; other scopes get NotFound
    server: str           # server id from the configuration
    name: str             # file name for display and in the URI; never a path
    stored_name: str      # one path component, at most 255 bytes
    media_type: str       # sniffed from content, else from the name
    size_bytes: int
    sha256: str           # lowercase hex of the whole file
    created_ms: int       # since the epoch
    source_tool: str
    is_utf8: bool = False  # the whole file is valid UTF-8, so `resources/read` may answer text
    expose: bool = True    # listed and readable as an MCP resource


FileRecord = UploadRecord | ArtifactRecord

_encoder = msgspec.msgpack.Encoder()
_file_decoder: msgspec.msgpack.Decoder[FileRecord] = msgspec.msgpack.Decoder(FileRecord)


def encode(record: Record) -> bytes:
    """Encode a record in msgpack."""
    return _encoder.encode(record)


def decode_file(data: bytes) -> FileRecord:
    """Decode a file record. Raises Unavailable for one that a newer longshore wrote."""
    try:
        return _file_decoder.decode(data)
    except msgspec.ValidationError as err:
        raise Unavailable("a stored file record is of a version this longshore does not know; upgrade it") from err


def known_file(data: bytes) -> FileRecord | None:
    """Decode a file record; None for one that a newer longshore wrote."""
    try:
        return decode_file(data)
    except Unavailable:
        return None
