"""`data:` URIs (RFC 2397) in tool arguments: finds them at the configured path and decodes them. Pure."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from longshore.gateway.files import arguments
from longshore.gateway.files.slots import Slot
from longshore.gateway.wire.protocol_errors import ToolInputError
from longshore.shared.config import UploadConsumer
from longshore.shared.storage import layout, media_types

_MAX_FILES = 100             # per call, as per upload request
_SCHEME = "data:"
_MAX_HEAD_CHARS = 1024       # before the comma
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class InlineFile:
    """Decoded file of a `data:` URI."""

    data: bytes
    media_type: str          # as declared, "" for none
    name: str                # of its `name` or `filename` parameter, else a default; safe
    sha256: str              # of its `sha256` parameter, lowercase hex, "" for none


def find(given: dict[str, Any], adapter: UploadConsumer) -> list[Slot]:
    """Find every `data:` URI at the adapter's argument path. Raises ToolInputError if there are too many."""
    found = [
        slot for slot in arguments.slots(given, adapter.file_path_argument.split("."))
        if isinstance(slot.value, str) and slot.value[:len(_SCHEME)].lower() == _SCHEME
    ]
    if len(found) > _MAX_FILES:
        raise ToolInputError(f"{adapter.file_path_argument} holds more than {_MAX_FILES} data: URIs; upload the files")
    return found


def min_bytes(uri: str) -> int:
    """Compute a lower bound of the file's size without decoding it."""
    head, _, body = uri.partition(",")
    return len(body) // 4 * 3 - 2 if head.lower().endswith(";base64") else len(body) // 3


def decode(uri: str) -> InlineFile:
    """Decode the file in `uri`. Raises ToolInputError if it is malformed."""
    head, comma, body = uri[len(_SCHEME):].partition(",")
    if not comma or len(head) > _MAX_HEAD_CHARS:
        raise ToolInputError("a data: URI is malformed; write data:<media type>;base64,<the bytes in base64>")
    media_type, *parameters = head.split(";")
    is_base64 = bool(parameters) and parameters[-1].strip().lower() == "base64"
    sha256 = _parameter(parameters, "sha256").lower()
    if sha256 and not _DIGEST.fullmatch(sha256):
        raise ToolInputError("the sha256 of a data: URI takes 64 hexadecimal digits")
    name = _parameter(parameters, "name") or _parameter(parameters, "filename")
    return InlineFile(_bytes(body, is_base64), media_type.strip().lower(), _name(media_type, name), sha256)


def _bytes(body: str, is_base64: bool) -> bytes:
    if not is_base64:
        return unquote_to_bytes(body)
    plain = "".join(unquote(body).split())
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ToolInputError("the base64 of a data: URI is broken; encode the file again, or upload it") from None


def _parameter(parameters: list[str], name: str) -> str:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == name:
            return unquote(value.strip().strip('"'))
    return ""


def _name(media_type: str, named: str) -> str:
    if named:
        return layout.safe_name(named.replace("\\", "/").rsplit("/", 1)[-1])
    return f"file{media_types.extension_for(media_type.strip().lower())}"
