"""Where a tool result says that its file is: in structured content, in its text, or embedded. Pure."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from shared.config import OutputLocator
from shared.errors import ArtifactMissing

# Absolute POSIX paths and file URIs that end in an extension; group 1 is the path.
_PATHS = (
    re.compile(r"\]\((?:file://)?(/[^()\n]+\.[A-Za-z0-9]{1,10})\)"),
    re.compile(r"[\"'`](?:file://)?(/[^\"'`\n]+\.[A-Za-z0-9]{1,10})[\"'`]"),
    re.compile(r"(?:^|[\s:=(\[])(?:file://)?(/[^\s\"'`<>|()\[\]]+\.[A-Za-z0-9]{1,10})"),
)
_MAX_FOUND = 20
_MAX_TEXT = 1_000_000       # characters searched by expressions


class Embedded(msgspec.Struct, frozen=True):
    """Bytes that a result carries, still in base64 or as text."""

    data: str
    is_base64: bool
    media_type: str
    name: str               # from the resource's URI, "" when it has none

    def decode(self) -> bytes:
        """The bytes. Raises ArtifactMissing for broken base64."""
        if not self.is_base64:
            return self.data.encode()
        try:
            return base64.b64decode(self.data, validate=True)
        except (binascii.Error, ValueError):
            raise ArtifactMissing("the tool embedded a file whose base64 is broken") from None


class _Resource(msgspec.Struct):
    uri: str = ""
    mime_type: str | None = msgspec.field(default=None, name="mimeType")
    blob: str | None = None
    text: str | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    data: str | None = None
    mime_type: str | None = msgspec.field(default=None, name="mimeType")
    resource: _Resource | None = None


class _Result(msgspec.Struct):
    content: list[_Block] = []
    structured: Any = msgspec.field(default=None, name="structuredContent")
    is_error: bool = msgspec.field(default=False, name="isError")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool result as far as files may hide in it."""

    blocks: list[_Block]
    structured: Any
    is_error: bool

    @classmethod
    def decode(cls, result: bytes) -> "ToolResult":
        """Lenient: what is not of the expected shape holds no file."""
        try:
            decoded = _result.decode(result)
        except msgspec.DecodeError:
            return cls([], None, False)
        return cls(decoded.content, decoded.structured, decoded.is_error)


_result = msgspec.json.Decoder(_Result)


def paths(result: ToolResult, locator: OutputLocator) -> list[str]:
    """Paths that the configured locator finds, most likely first."""
    if locator.mode == "structured":
        return _structured(result, locator.output_path_key)
    if locator.mode == "regex":
        return _by_expression(result, locator.output_path_regexes)
    return []


def embedded(result: ToolResult) -> list[Embedded]:
    """Images, audio, blobs and text resources in the content, in order."""
    return [found for block in result.blocks if (found := _of_block(block)) is not None]


def _structured(result: ToolResult, key: str | None) -> list[str]:
    value = result.structured
    for name in key.split(".") if key else []:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return []
    if not key:
        return []
    values = value if isinstance(value, list) else [value]
    return [plain_path(text) for text in values if isinstance(text, str) and text][:_MAX_FOUND]


def _by_expression(result: ToolResult, expressions: tuple[str, ...]) -> list[str]:
    patterns = tuple(re.compile(expression) for expression in expressions) or _PATHS
    texts = [block.text[:_MAX_TEXT] for block in result.blocks if block.text]
    found: dict[str, None] = {}
    for pattern in patterns:
        for text in texts:
            for match in pattern.finditer(text):
                found.setdefault(plain_path(match.group(1) if pattern.groups else match.group()))
                if len(found) >= _MAX_FOUND:
                    return list(found)
    return list(found)


def plain_path(text: str) -> str:
    """A path from a path or a `file://` URI."""
    return unquote(urlsplit(text).path) if text.startswith("file://") else text


def _of_block(block: _Block) -> Embedded | None:
    if block.type in ("image", "audio") and block.data:
        return Embedded(block.data, True, block.mime_type or "", "")
    resource = block.resource
    if block.type != "resource" or resource is None:
        return None
    name = unquote(urlsplit(resource.uri).path.rsplit("/", 1)[-1])
    if resource.blob is not None:
        return Embedded(resource.blob, True, resource.mime_type or "", name)
    if resource.text is not None:
        return Embedded(resource.text, False, resource.mime_type or "text/plain", name)
    return None
