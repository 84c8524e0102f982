"""Candidate paths in a tool result: in its structured content, or in its text. Pure."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from longshore.gateway.files.blocks import Block, read, split
from longshore.gateway.wire import jsonrpc
from longshore.shared.config import OutputLocator
from longshore.shared.jobs import MAX_FILES
from longshore.shared.storage import layout

# Absolute POSIX paths and file URIs that end in an extension, in group 1. Each takes linear time, since the text is the
# upstream's: a run of characters is matched as a whole or not at all.
_LINKED = re.compile(r"\]\(((?:file://[^/()\s]*+)?/[^()\n]+\.[A-Za-z0-9]{1,10})\)")
_QUOTED = re.compile(r"[\"'`]((?:file://[^/\"'`\s]*+)?/[^\"'`\n]+\.[A-Za-z0-9]{1,10})[\"'`]")
_BARE = re.compile(r"(?<![^\s:=(\[*])((?:file://[^/\s\"'`<>|()\[\]]*+)?/(?!/)[^\s\"'`<>|()\[\]]++)")
_TO_LAST_EXTENSION = re.compile(r".*\.[A-Za-z0-9]{1,10}(?![A-Za-z0-9])")
_MAX_FOUND = MAX_FILES
_MAX_VALUES = 10_000         # of structured content that are searched
_MAX_PATH_CHARS = 4096
_MAX_TEXT = 1_000_000        # characters searched by expressions


class _Result(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw(b"[]")
    structured: Any = msgspec.field(default=None, name="structuredContent")
    is_error: Any = msgspec.field(default=False, name="isError")


_result = msgspec.json.Decoder(_Result)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Tool result: the parts that can hold or name files."""

    blocks: list[Block]
    structured: Any
    is_error: bool

    @classmethod
    def decode(cls, result: bytes) -> "ToolResult":
        """Decode leniently: parts of unexpected types are skipped."""
        try:
            decoded = _result.decode(result)
        except jsonrpc.UNREADABLE:
            return cls([], None, False)
        return cls(_readable_blocks(decoded.content), decoded.structured, decoded.is_error is True)


def _readable_blocks(content: msgspec.Raw) -> list[Block]:
    blocks: list[Block] = []
    with contextlib.suppress(*jsonrpc.UNREADABLE):
        for raw in split(content):
            with contextlib.suppress(*jsonrpc.UNREADABLE):
                blocks.append(read(raw))
    return blocks


def by_locator(result: ToolResult, locator: OutputLocator) -> list[str]:
    """Find paths with the configured locator, most likely first. Each should lead to a file."""
    if locator.mode == "structured":
        return _structured(result, locator.output_path_key)
    if locator.mode == "regex":
        return next(filter(None, _by_expression(result, locator.output_path_regexes)), [])
    return []


def other_paths(result: ToolResult, locator: OutputLocator) -> list[str]:
    """Find fallback paths for when no path of `by_locator` leads to a file: matches of further expressions, and any
    path in structured content."""
    if locator.mode not in ("structured", "regex"):
        return []
    found = _by_expression(result, locator.output_path_regexes) if locator.mode == "regex" else []
    later = [path for paths in list(filter(None, found))[1:] for path in paths]
    return list(dict.fromkeys([*later, *_anywhere(result.structured)]))[:_MAX_FOUND]


def _structured(result: ToolResult, key: str | None) -> list[str]:
    values = [result.structured]
    for name in key.split(".") if key else []:
        values = [found for value in values for found in _below(value, name)][:_MAX_VALUES]
    if not key:
        return []
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    found = [plain_path(text) for text in texts if isinstance(text, str)]
    return list(dict.fromkeys(path for path in found if path))[:_MAX_FOUND]


def _below(value: Any, name: str) -> list[Any]:
    """Return the values at the key `name`; in a list, a number is an index and a name applies to all items."""
    if isinstance(value, dict):
        return [value[name]] if name in value else []
    if not isinstance(value, list):
        return []
    if name.isdecimal():
        return value[int(name):][:1] if len(name) < 6 else []
    return [item[name] for item in value if isinstance(item, dict) and name in item]


def _anywhere(structured: Any) -> list[str]:
    """Find absolute paths among the strings of structured content, in order; the search stops after `_MAX_VALUES`."""
    found: list[str] = []
    left, searched = [structured], 0
    while left and searched < _MAX_VALUES:
        value, searched = left.pop(), searched + 1
        if isinstance(value, str):
            path = plain_path(value[:_MAX_PATH_CHARS + 1])
            if path.startswith("/") and len(path) <= _MAX_PATH_CHARS:
                found.append(path)
        elif isinstance(value, dict):
            left += reversed(value.values())
        elif isinstance(value, list):
            left += reversed(value)
    return found[:_MAX_FOUND]


def _by_expression(result: ToolResult, expressions: tuple[str, ...]) -> list[list[str]]:
    """Search with each expression; the built-in expressions count as one."""
    texts = [block.text[:_MAX_TEXT] for block in result.blocks if block.text]
    matches = [_configured(texts, pattern) for pattern in expressions] if expressions else [_built_in(texts)]
    return [list(islice(_paths(found), _MAX_FOUND)) for found in matches]


def _paths(matches: Iterator[str]) -> Iterator[str]:
    seen: set[str] = set()
    for match in matches:
        if (path := plain_path(match)) and path not in seen:
            seen.add(path)
            yield path


def _configured(texts: list[str], expression: str) -> Iterator[str]:
    pattern = re.compile(expression)
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
    """Rebase a path of the storage layout below `root`: the upstream may mount the storage elsewhere.

    The result is checked like any other path before it is captured.
    """
    for kind in (layout.ARTIFACTS, layout.UPLOADS):
        _, found, end = path.partition(f"/{kind}/{layout.SESSIONS}/")
        if found:
            return f"{root}{found}{end}"
    return path


def plain_path(text: str) -> str:
    """Return the path of a path or `file://` URI, "" if it is malformed."""
    if not text.startswith("file://"):
        return text
    try:
        return unquote(urlsplit(text).path)
    except ValueError:  # brackets in what should be a host
        return ""
