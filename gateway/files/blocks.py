"""Content blocks of a tool result: the fields that can hold or name files. Pure.

MCP 2025-11-25 server/tools §Tool Result.
"""

from typing import Any

import msgspec


class Resource(msgspec.Struct):
    """Embedded resource: its text, or its bytes in base64."""

    uri: str = ""
    mime_type: str | None = msgspec.field(default=None, name="mimeType")
    blob: str | None = None
    text: str | None = None


class Block(msgspec.Struct):
    """Content block: text, image or audio with base64 `data`, embedded resource, or link to a resource."""

    type: str = ""
    text: str | None = None
    data: str | None = None
    mime_type: str | None = msgspec.field(default=None, name="mimeType")
    resource: Resource | None = None
    uri: Any = None          # a string in a resource link; of any type in other blocks
    name: Any = None


split = msgspec.json.Decoder(list[msgspec.Raw]).decode   # from `content` to its blocks
read = msgspec.json.Decoder(Block).decode                # one block
