"""The content blocks of a tool result, read as far as files in them are concerned. Pure.

MCP 2025-11-25 server/tools §Tool Result.
"""

from typing import Any

import msgspec


class Resource(msgspec.Struct):
    """An embedded resource: its text, or its bytes in base64."""

    uri: str = ""
    mime_type: str | None = msgspec.field(default=None, name="mimeType")
    blob: str | None = None
    text: str | None = None


class Block(msgspec.Struct):
    """One block: a text, an image or audio with base64 `data`, an embedded resource, or a link to one."""

    type: str = ""
    text: str | None = None
    data: str | None = None
    mime_type: str | None = msgspec.field(default=None, name="mimeType")
    resource: Resource | None = None
    uri: Any = None          # of a link, a string; blocks of other types may have anything there
    name: Any = None


split = msgspec.json.Decoder(list[msgspec.Raw]).decode   # `content` into its blocks
read = msgspec.json.Decoder(Block).decode                # one of them
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
