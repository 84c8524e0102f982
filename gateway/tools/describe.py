"""Extends the entries of `tools/list` for tools that take files: how to upload, and which handles to pass. Pure.

The descriptions of tool and argument change, and whatever `FileAnnotations` adds. Everything else keeps its bytes and
order.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from longshore.gateway.tools import own
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.jsonrpc import RawMap
from longshore.shared.config import Config, Server
from longshore.shared.errors import UpstreamDown

_text = msgspec.json.Decoder(str)
_WORDS = re.compile(r"\s*\S+")


@dataclass(frozen=True, slots=True)
class FileAnnotations:
    """Further changes to the entries of tools that take files."""

    argument: tuple[Callable[[RawMap], RawMap], ...] = ()            # of a file argument's schema, applied in order
    tool: Callable[[RawMap, tuple[str, ...]], RawMap] | None = None  # of the entry; gets the file argument paths


_NONE = FileAnnotations()


class ToolDescriber:
    """Rewrites the entries of one server's tool list. Built for each list."""

    def __init__(
        self, config: Config, server: Server, file_arguments: Mapping[str, tuple[str, ...]], *,
        marks: FileAnnotations = _NONE,
    ) -> None:
        self._marks = marks
        self._file_arguments = file_arguments   # dotted paths, by tool
        self._words = _max_words(config, server)
        scheme, limit = config.uploads.uri_scheme, config.uploads.data_uri_max_bytes
        tool = own.upload_tool_name(server)
        digest = ", with its digest (data:...;sha256=<hex>;base64,...)," if config.uploads.require_sha256 else ""
        inline = f" A data: URI of up to {limit} bytes{digest} works too." if limit else ""
        self._of_argument = (
            f"Pass a handle ({scheme}...) from {tool}, or the {config.artifacts.uri_scheme}... URI of a file that a "
            f"tool made in this session, not a path of yours.{inline}"
        )
        self._of_tool = f"Takes files: upload them with {tool} first, then pass their handles in"

    @property
    def changes_any(self) -> bool:
        """True if some entry may be changed."""
        return self._words is not None or bool(self._file_arguments)

    def describe(self, entry: msgspec.Raw) -> msgspec.Raw:
        """Extend the descriptions of one entry. A malformed entry stays unchanged."""
        try:
            return self._described(entry)
        except (UpstreamDown, msgspec.DecodeError, UnicodeDecodeError):
            return entry

    def _described(self, entry: msgspec.Raw) -> msgspec.Raw:
        tool = jsonrpc.open_object(entry)
        arguments = self._file_arguments.get(_text.decode(tool["name"]), ()) if "name" in tool else ()
        if self._words is None and not arguments:
            return entry
        text = _text.decode(tool["description"]) if "description" in tool else ""
        text = _shorten(text, self._words)
        if arguments:
            text = _append(text, f"{self._of_tool} {', '.join(arguments)}.")
        if text:
            tool["description"] = jsonrpc.raw(text)
        for argument in arguments if "inputSchema" in tool else ():
            tool["inputSchema"] = self._argument(tool["inputSchema"], argument.split("."))
        if arguments and self._marks.tool is not None:
            tool = self._marks.tool(tool, arguments)
        return jsonrpc.raw(tool)

    def _argument(self, schema: msgspec.Raw, path: list[str]) -> msgspec.Raw:
        """Extend the description of the argument at `path`; the schema stays unchanged if the path is not plain."""
        found = jsonrpc.open_object(schema)
        if not path:
            text = _text.decode(found["description"]) if "description" in found else ""
            found["description"] = jsonrpc.raw(_append(text, self._of_argument))
            for change in self._marks.argument:
                found = change(found)
            return jsonrpc.raw(found)
        inner = _properties(found)
        if path[0] in inner:
            inner[path[0]] = self._argument(inner[path[0]], path[1:])
            found["properties"] = jsonrpc.raw(inner)
        elif bytes(found.get("items", b"")).startswith(b"{"):
            rest = path[1:] if path[0].isdecimal() else path
            found["items"] = self._argument(found["items"], rest)
        else:
            return schema
        return jsonrpc.raw(found)


def _properties(schema: RawMap) -> RawMap:
    return jsonrpc.open_object(schema["properties"]) if "properties" in schema else {}


def _append(text: str, more: str) -> str:
    return f"{text.rstrip()}\n\n{more}" if text.strip() else more


def _max_words(config: Config, server: Server) -> int | None:
    """Maximum number of words of a description, None for no limit."""
    shortens = config.core.shorten_descriptions if server.shorten_descriptions is None else server.shorten_descriptions
    if not shortens:
        return None
    return server.short_description_max_tokens or config.core.short_description_max_tokens


def _shorten(text: str, most: int | None) -> str:
    """Return the first `most` words of `text`; each word counts as one token."""
    if most is None:
        return text
    end = 0
    for count, word in enumerate(_WORDS.finditer(text)):
        if count == most:
            return text[:end].strip() + "…"
        end = word.end()
    return text
