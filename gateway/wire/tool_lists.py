"""Tool lists: mirrored arguments in them, and removal of malformed `x-mcp-header` declarations. Pure.

A client over HTTP must not use a tool whose `x-mcp-header` breaks a rule (MCP 2026-07-28 basic/transports/
streamable-http §Schema Extension).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc, param_headers
from longshore.gateway.wire.param_headers import MirroredArgument

_KEY = param_headers.KEY.encode()


class Tool(msgspec.Struct):
    """Tool of a list, with its schemas."""

    name: str
    schema: Any = msgspec.field(default=None, name="inputSchema")
    output: Any = msgspec.field(default=None, name="outputSchema")


class _Page(msgspec.Struct):
    tools: list[Tool] = []


_page = msgspec.json.Decoder(_Page)
_tool = msgspec.json.Decoder(Tool)
_entries = msgspec.json.Decoder(list[msgspec.Raw])


def mirrored_arguments(tools: Iterable[Tool]) -> Iterator[tuple[str, list[MirroredArgument] | None]]:
    """Pair each tool's name with its mirrored arguments; None for a tool that clients must not use."""
    return ((tool.name, param_headers.mirrored_arguments(tool.schema)) for tool in tools)


def parse_page(result: bytes) -> list[Tool]:
    """Decode the tools of one page; none if it is malformed, which is reported elsewhere."""
    try:
        return _page.decode(result).tools
    except jsonrpc.UNREADABLE:
        return []


def without_broken_tools(result: jsonrpc.RawMap) -> jsonrpc.RawMap:
    """Remove the tools with malformed declarations from a page of a modern upstream."""
    return _replace_broken(result, lambda _entry, _tool: [])


def without_broken_keys(result: jsonrpc.RawMap) -> jsonrpc.RawMap:
    """Remove malformed declarations from a page of a legacy server, to which they mean nothing: modern clients may
    then use the tools."""
    return _replace_broken(result, lambda entry, tool: [_without_key(entry, tool)])


def _replace_broken(
    result: jsonrpc.RawMap, replacement: Callable[[msgspec.Raw, Tool], list[msgspec.Raw]]
) -> jsonrpc.RawMap:
    listed = bytes(result.get("tools", b""))
    if _KEY not in listed:
        return result
    try:
        kept: list[msgspec.Raw] = []
        for entry in _entries.decode(listed):
            tool = _tool.decode(entry) if _KEY in bytes(entry) else None
            if tool is not None and param_headers.mirrored_arguments(tool.schema) is None:
                kept += replacement(entry, tool)
            else:
                kept.append(entry)
    except jsonrpc.UNREADABLE:
        return result
    return result | {"tools": jsonrpc.raw(kept)}


def _without_key(entry: msgspec.Raw, tool: Tool) -> msgspec.Raw:
    for _, schema in param_headers.subschemas(tool.schema):
        schema.pop(param_headers.KEY, None)
    return jsonrpc.raw(jsonrpc.open_object(entry) | {"inputSchema": jsonrpc.raw(tool.schema)})
