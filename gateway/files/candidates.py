"""Where a tool result says that its file is: in structured content, in its text, or embedded. Pure."""

import base64
import binascii
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from gateway.files.blocks import UNREADABLE, Block, read, split
from shared import layout
from shared.config import OutputLocator
from shared.errors import ArtifactMissing

# Absolute POSIX paths and file URIs that end in an extension, in group 1. Each is linear in the text, which is
# the upstream's: a run of characters is taken whole or not at all.
_LINKED = re.compile(r"\]\(((?:file://[^/()\s]*+)?/[^()\n]+\.[A-Za-z0-9]{1,10})\)")
_QUOTED = re.compile(r"[\"'`]((?:file://[^/\"'`\s]*+)?/[^\"'`\n]+\.[A-Za-z0-9]{1,10})[\"'`]")
_BARE = re.compile(r"(?<![^\s:=(\[*])((?:file://[^/\s\"'`<>|()\[\]]*+)?/(?!/)[^\s\"'`<>|()\[\]]++)")
_TO_LAST_EXTENSION = re.compile(r".*\.[A-Za-z0-9]{1,10}(?![A-Za-z0-9])")
_MAX_FOUND = 20
_MAX_VALUES = 10_000        # of structured content that are looked at
_MAX_PATH = 4096
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


class _Result(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw(b"[]")
    structured: Any = msgspec.field(default=None, name="structuredContent")
    is_error: Any = msgspec.field(default=False, name="isError")


_result = msgspec.json.Decoder(_Result)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool result as far as files may hide in it."""

    blocks: list[Block]
    structured: Any
    is_error: bool

    @classmethod
    def decode(cls, result: bytes) -> "ToolResult":
        """Lenient: what is not of the expected shape holds no file, and keeps nothing else from being read."""
        try:
            decoded = _result.decode(result)
        except UNREADABLE:
            return cls([], None, False)
        return cls(_readable_blocks(decoded.content), decoded.structured, decoded.is_error is True)


def _readable_blocks(content: msgspec.Raw) -> list[Block]:
    blocks: list[Block] = []
    with contextlib.suppress(*UNREADABLE):
        for raw in split(content):
            with contextlib.suppress(*UNREADABLE):
                blocks.append(read(raw))
    return blocks


def paths(result: ToolResult, locator: OutputLocator) -> list[str]:
    """Paths that the configured locator finds, then any other in structured content, most likely first."""
    if locator.mode not in ("structured", "regex"):
        return []
    return list(dict.fromkeys([*located(result, locator), *_anywhere(result.structured)]))[:_MAX_FOUND]


def located(result: ToolResult, locator: OutputLocator) -> list[str]:
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
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return []
    if not key:
        return []
    values = value if isinstance(value, list) else [value]
    found = [plain_path(text) for text in values if isinstance(text, str)]
    return [path for path in found if path][:_MAX_FOUND]


def _anywhere(structured: Any) -> list[str]:
    """Absolute paths among the strings of structured content, in its order; of a large one those at its beginning."""
    found: list[str] = []
    left, looks = [structured], 0
    while left and looks < _MAX_VALUES:
        value, looks = left.pop(), looks + 1
        if isinstance(value, str):
            path = plain_path(value[:_MAX_PATH + 1])
            if path.startswith("/") and len(path) <= _MAX_PATH:
                found.append(path)
        elif isinstance(value, dict):
            left += reversed(value.values())
        elif isinstance(value, list):
            left += reversed(value)
    return found[:_MAX_FOUND]


def _by_expression(result: ToolResult, expressions: tuple[str, ...]) -> list[str]:
    texts = [block.text[:_MAX_TEXT] for block in result.blocks if block.text]
    matches = _configured(texts, expressions) if expressions else _built_in(texts)
    found: dict[str, None] = {}
    for match in matches:
        if path := plain_path(match):
            found.setdefault(path)
        if len(found) >= _MAX_FOUND:
            break
    return list(found)


def _configured(texts: list[str], expressions: tuple[str, ...]) -> Iterator[str]:
    for pattern in map(re.compile, expressions):
        for text in texts:
            for match in pattern.finditer(text):
                yield (match.group(1) if pattern.groups else match.group()) or ""


def _built_in(texts: list[str]) -> Iterator[str]:
    for pattern in (_LINKED, _QUOTED):
        for text in texts:
            yield from pattern.findall(text)
    for text in texts:
        for run in _BARE.finditer(text):
            if ended := _TO_LAST_EXTENSION.match(run.group(1)):
                yield ended.group()


def in_our_layout(path: str, root: str) -> str:
    """`path` below `root`, where its end is of the storage layout: an upstream may have the storage elsewhere.

    Whether this file may be captured is decided as for any other path.
    """
    for kind in (layout.ARTIFACTS, layout.UPLOADS):
        _, found, end = path.partition(f"/{kind}/{layout.SESSIONS}/")
        if found:
            return f"{root}{found}{end}"
    return path


def plain_path(text: str) -> str:
    """A path from a path or a `file://` URI."""
    if not text.startswith("file://"):
        return text
    try:
        return unquote(urlsplit(text).path)
    except ValueError:  # brackets in what should be a host
        return ""


def _of_block(block: Block) -> Embedded | None:
    if block.type in ("image", "audio") and block.data:
        return Embedded(block.data, True, block.mime_type or "", "")
    resource = block.resource
    if block.type != "resource" or resource is None:
        return None
    name = _last_part(resource.uri)
    if resource.blob is not None:
        return Embedded(resource.blob, True, resource.mime_type or "", name)
    if resource.text is not None:
        return Embedded(resource.text, False, resource.mime_type or "text/plain", name)
    return None


def _last_part(uri: str) -> str:
    try:
        return unquote(urlsplit(uri).path.rsplit("/", 1)[-1])
    except ValueError:
        return ""
