"""Spill-over: finds large parts of a tool result, and replaces them with a preview and a link to an artifact. Pure."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import msgspec

from longshore.gateway.files import results
from longshore.gateway.files.blocks import Block, read, split
from longshore.gateway.files.results import Presentation
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.jsonrpc import RawMap
from longshore.shared.records import ArtifactRecord

_PREVIEW_LINES = 20
_PREVIEW_CHARS = 1000


@dataclass(frozen=True, slots=True)
class LargeValue:
    """Contents of one large part of a result."""

    data: bytes
    media_type: str          # as the tool declared it
    name: str                # of the resource, "" for none
    preview: str             # beginning of a text, "" for bytes


def blocks_of(result: RawMap) -> list[msgspec.Raw] | None:
    """Split `content` into its blocks; None if it is not a tool result."""
    try:
        return split(result["content"]) if "content" in result else []
    except jsonrpc.UNREADABLE:
        return None


def large_block(raw: msgspec.Raw, limit_bytes: int) -> LargeValue | None:
    """Return the contents of a block if they are larger than `limit_bytes`, else None."""
    if len(bytes(raw)) <= limit_bytes:
        return None
    try:
        block = read(raw)
    except jsonrpc.UNREADABLE:
        return None
    found = _found(block)
    return found if found is not None and len(found.data) > limit_bytes else None


def large_text(value: str) -> LargeValue:
    """Wrap a text of structured content."""
    return _of_text(value, "text/plain", "")


def large_structured(raw: msgspec.Raw, name: str) -> LargeValue:
    """Wrap the whole structured content of a tool result."""
    return LargeValue(bytes(raw), "application/json", f"{name}.json", "")


def _found(block: Block) -> LargeValue | None:
    resource = block.resource
    if block.type == "text" and block.text is not None:
        return _of_text(block.text, "text/plain", "")
    if block.type in ("image", "audio") and block.data is not None:
        return _of_base64(block.data, block.mime_type or "", "")
    if block.type != "resource" or resource is None:
        return None
    name = resource.uri.rsplit("/", 1)[-1]
    if resource.text is not None:
        return _of_text(resource.text, resource.mime_type or "text/plain", name)
    return _of_base64(resource.blob, resource.mime_type or "", name) if resource.blob is not None else None


def _of_text(text: str, media_type: str, name: str) -> LargeValue:
    preview = "\n".join(text[:_PREVIEW_CHARS].split("\n")[:_PREVIEW_LINES])
    return LargeValue(text.encode(), media_type, name, preview)


def _of_base64(data: str, media_type: str, name: str) -> LargeValue | None:
    try:
        return LargeValue(base64.b64decode(data, validate=True), media_type, name, "")
    except (binascii.Error, ValueError):
        return None          # broken: passed on unchanged


def replacement_blocks(record: ArtifactRecord, shown: Presentation, preview: str) -> list[dict[str, Any]]:
    """Build the blocks that replace a block which became an artifact."""
    return [{"type": "text", "text": replacement_text(record, shown, preview)}, *results.link_blocks(record, shown)]


def replacement_text(record: ArtifactRecord, shown: Presentation, preview: str) -> str:
    """Build the text that replaces a part which became an artifact."""
    where = f"the whole is kept as {shown.uri}"
    if shown.download_url is not None:
        where += f"; download it: {shown.download_url}"
    size = f"{record.size_bytes} bytes of {record.media_type}"
    return f"{preview}\n… [{size}; {where}]" if preview else f"[{size}; {where}]"


def set_content(result: RawMap, blocks: list[Any], kept: list[dict[str, Any]]) -> None:
    """Set `content`, and append the artifacts to those in `_meta`."""
    meta: RawMap = jsonrpc.open_object(result["_meta"]) if bytes(result.get("_meta", b"null")) != b"null" else {}
    known = [*_listed(meta), *map(jsonrpc.raw, kept)]
    if known:
        meta["artifact"] = known[0]
        meta["artifacts"] = jsonrpc.raw(known)
        result["_meta"] = msgspec.Raw(jsonrpc.close_object(meta))
    result["content"] = jsonrpc.raw(blocks)


def _listed(meta: RawMap) -> list[msgspec.Raw]:
    if "artifact" not in meta:
        return []
    try:
        return split(meta["artifacts"]) if "artifacts" in meta else [meta["artifact"]]
    except jsonrpc.UNREADABLE:       # the upstream's own, of another shape
        return [meta["artifact"]]
