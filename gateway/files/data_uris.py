"""Files inside tool arguments: `data:` URIs (RFC 2397) at the configured path, found and decoded. Pure."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from longshore.gateway.files import arguments
from longshore.gateway.wire.protocol_errors import ToolInputError
from longshore.shared.config import UploadConsumer
from longshore.shared.storage import layout, media_types

_MAX_FILES = 100            # of one call, as of one upload request
_SCHEME = "data:"
_MAX_HEAD_CHARS = 1024            # characters before the comma
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Place:
    """One place in decoded arguments that holds a file."""

    container: dict[str, Any] | list[Any]
    key: str | int
    uri: str

    def fill(self, handle: str) -> None:
        """Replace the file by the handle of its upload."""
        self.container[self.key] = handle  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A file as a `data:` URI holds it."""

    data: bytes
    media_type: str          # as declared, "" when it was not
    name: str                # of its `name` or `filename` parameter, else made up; safe
    sha256: str              # of its `sha256` parameter, lowercase hex, "" when it has none


def find(given: dict[str, Any], adapter: UploadConsumer) -> list[Place]:
    """Every `data:` URI at the adapter's argument path. Raises ToolInputError when there are too many."""
    found = [
        Place(container, key, text)
        for container, key in arguments.places(given, adapter.file_path_argument.split("."))
        if isinstance(text := container[key], str) and text[:len(_SCHEME)].lower() == _SCHEME  # type: ignore[index]
    ]
    if len(found) > _MAX_FILES:
        raise ToolInputError(f"{adapter.file_path_argument} holds more than {_MAX_FILES} data: URIs; upload the files")
    return found


def min_bytes(uri: str) -> int:
    """A size that the file in `uri` has at least, told without decoding it."""
    head, _, body = uri.partition(",")
    return len(body) // 4 * 3 - 2 if head.lower().endswith(";base64") else len(body) // 3


def decode(uri: str) -> InlineFile:
    """The file in `uri`. Raises ToolInputError when it is malformed."""
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
