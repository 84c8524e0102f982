"""Adds captured artifacts to their tool result: metadata, resource links, download links, raw bytes. Pure."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.jsonrpc import RawMap
from longshore.shared.errors import UpstreamDown
from longshore.shared.records import ArtifactRecord

_list = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Presentation:
    """Forms in which one artifact is shown to the client of the call."""

    uri: str
    download_url: str | None     # None if downloads are off
    is_resource: bool            # readable as an MCP resource
    has_links: bool              # the client's revision has `resource_link` (since 2025-06-18)
    raw: bytes | None            # None if raw output is off
    file: dict[str, Any] | None = None   # file block (SEP-2631), for a client that fetches files


def attach_artifacts(
    result: RawMap, kept: Sequence[tuple[ArtifactRecord, Presentation]], refusals: Sequence[str] = ()
) -> None:
    """Add the artifacts to `result` after the tool's own content, with a note about refused files.

    Raises UpstreamDown if it is not a tool result.
    """
    meta = {} if _is_absent(result, "_meta") else jsonrpc.open_object(result["_meta"])
    described = [describe_artifact(record, shown) for record, shown in kept]
    meta["artifact"], meta["artifacts"] = jsonrpc.raw(described[0]), jsonrpc.raw(described)
    if refusals:
        meta["artifact_refusals"] = jsonrpc.raw(refusals)
    result["_meta"] = msgspec.Raw(jsonrpc.close_object(meta))
    blocks = [] if _is_absent(result, "content") else _open_list(result["content"])
    ours = [block for record, shown in kept for block in _blocks(record, shown)]
    result["content"] = jsonrpc.raw([*blocks, *ours, *_refusal_note(len(kept), refusals)])


def _refusal_note(kept: int, refusals: Sequence[str]) -> list[dict[str, Any]]:
    if not refusals:
        return []
    text = f"Of this call's files {kept} {'was' if kept == 1 else 'were'} kept; not kept: {'; '.join(refusals)}"
    return [{"type": "text", "text": text}]


def describe_artifact(record: ArtifactRecord, shown: Presentation) -> dict[str, Any]:
    """Describe an artifact for the `_meta` of a result."""
    artifact: dict[str, Any] = {
        "artifact_uri": shown.uri,
        "artifact_id": record.id,
        "filename": record.name,
        "mime_type": record.media_type,
        "size_bytes": record.size_bytes,
        "expose_as_resource": shown.is_resource,
    }
    if shown.download_url is not None:
        artifact["download_url"] = shown.download_url
    return artifact


def _is_absent(result: RawMap, name: str) -> bool:
    return bytes(result.get(name, b"null")) == b"null"


def _open_list(data: msgspec.Raw) -> list[msgspec.Raw]:
    try:
        return _list.decode(data)
    except jsonrpc.UNREADABLE:
        raise UpstreamDown("the upstream server answered with something that is not a tool result") from None


def _blocks(record: ArtifactRecord, shown: Presentation) -> list[dict[str, Any]]:
    blocks = link_blocks(record, shown)
    if shown.download_url is not None:
        blocks.append({"type": "text", "text": f"Download {record.name}: {shown.download_url}"})
    if shown.raw is not None:
        blocks.append(_raw_block(record, shown.uri, shown.raw))
    return blocks


def link_blocks(record: ArtifactRecord, shown: Presentation) -> list[dict[str, Any]]:
    """Build the block that links to the artifact; none if the client's revision has no such block."""
    if shown.file is not None:
        return [shown.file]
    if shown.is_resource and shown.has_links:
        return [{"type": "resource_link", **resource_entry(record, shown.uri)}]
    return []


def resource_entry(record: ArtifactRecord, uri: str) -> dict[str, Any]:
    """Describe an artifact as an entry of `resources/list` (MCP 2025-11-25 server/resources §Resource)."""
    return {
        "uri": uri, "name": record.name, "mimeType": record.media_type, "size": record.size_bytes,
        "description": f"Written by the tool {record.source_tool}",
    }


def resource_template(scheme: str) -> dict[str, Any]:
    """Describe the URIs of artifacts as an entry of `resources/templates/list`."""
    return {
        "uriTemplate": f"{scheme}sessions/{{session_id}}/{{artifact_id}}/{{filename}}", "name": "artifact",
        "description": "A file that a tool wrote in this session, as resources/list and tool results name it",
    }


def is_text(record: ArtifactRecord) -> bool:
    """True if the file is readable text: valid UTF-8 of a textual media type."""
    kind = record.media_type
    return record.is_utf8 and (kind.startswith("text/") or kind.endswith(("+json", "+xml")) or kind in _TEXTS)


_TEXTS = frozenset({
    "application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml",
    "application/javascript", "application/x-sh", "application/sql", "application/x-ndjson", "application/graphql",
})


def _raw_block(record: ArtifactRecord, uri: str, data: bytes) -> dict[str, Any]:
    if record.media_type.startswith("image/"):
        return {"type": "image", "data": b64encode(data).decode(), "mimeType": record.media_type}
    if record.media_type.startswith("audio/"):
        return {"type": "audio", "data": b64encode(data).decode(), "mimeType": record.media_type}
    if is_text(record):
        return {"type": "text", "text": data.decode()}
    blob = {"uri": uri, "mimeType": record.media_type, "blob": b64encode(data).decode()}
    return {"type": "resource", "resource": blob}
