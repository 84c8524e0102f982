"""File objects of OpenAI hosts: a download URL in arguments that `openai/fileParams` in the tool's `_meta` names. Pure.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from longshore.gateway.files import arguments
from longshore.gateway.files.slots import Slot
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.jsonrpc import RawMap
from longshore.gateway.wire.protocol_errors import ToolInputError
from longshore.shared.config import UploadConsumer
from longshore.shared.storage import layout

META_KEY = "openai/fileParams"
_URL = "download_url"
_MAX_FILES = 20              # per call
_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"})
_SCHEMA = {
    "type": "object",
    "properties": {
        _URL: {"type": "string", "description": "https address of the file, as the host gives it"},
        "file_id": {"type": "string"}, "mime_type": {"type": "string"}, "file_name": {"type": "string"},
    },
    "required": [_URL, "file_id"],
}
_schema_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_names = msgspec.json.Decoder(list[str]).decode


class RemoteFile(msgspec.Struct, frozen=True):
    """File object: a file behind a URL."""

    download_url: str
    file_id: str = ""
    mime_type: str | None = None
    file_name: str | None = None

    @property
    def name(self) -> str:
        """Safe name: as given, else the last segment of the URL, else a default."""
        named = self.file_name or unquote(self.download_url.partition("?")[0].partition("#")[0])
        return layout.safe_name(named.replace("\\", "/").rsplit("/", 1)[-1], fallback="file")


@dataclass(frozen=True, slots=True)
class FileSlot(Slot):
    """Position of a file object in decoded arguments."""

    file: RemoteFile


def find(given: dict[str, Any], adapter: UploadConsumer) -> list[FileSlot]:
    """Find every file object at the adapter's argument path. Raises ToolInputError if one is malformed."""
    path = adapter.file_path_argument
    found = [
        FileSlot(slot.container, slot.key, _read(slot.value, path))
        for slot in arguments.slots(given, path.split("."))
        if isinstance(slot.value, dict) and _URL in slot.value
    ]
    if len(found) > _MAX_FILES:
        raise ToolInputError(f"{path} holds more than {_MAX_FILES} files to fetch; pass fewer in a call")
    return found


def _read(value: dict[str, Any], path: str) -> RemoteFile:
    try:
        return msgspec.convert(value, RemoteFile)
    except msgspec.ValidationError:
        raise ToolInputError(f"{path} holds a file whose {_URL} or other fields are not text") from None


def with_file_params(tool: RawMap, paths: tuple[str, ...]) -> RawMap:
    """Add the file arguments to the `_meta` of a tool. Hosts read top-level arguments only, so nested ones are left
    out."""
    names = [path for path in paths if "." not in path]
    if not names:
        return tool
    meta = jsonrpc.open_object(tool["_meta"]) if bytes(tool.get("_meta", b"null")) != b"null" else {}
    try:
        known = _names(meta.get(META_KEY, b"[]"))
    except msgspec.DecodeError:
        known = []
    meta[META_KEY] = jsonrpc.raw(list(dict.fromkeys([*known, *names])))
    return tool | {"_meta": jsonrpc.raw(meta)}


def accept_file_object(schema: RawMap) -> RawMap:
    """Extend the schema of a file argument, or of a list of them, to accept file objects too."""
    if "x-mcp-header" in schema:     # must keep a primitive type, or clients drop the tool
        return schema
    if bytes(schema.get("items", b"")).startswith(b"{"):
        return schema | {"items": jsonrpc.raw(accept_file_object(jsonrpc.open_object(schema["items"])))}
    kept = {name: value for name, value in schema.items() if name in _ANNOTATIONS or name.startswith("x-")}
    rest = {name: value for name, value in schema.items() if name not in kept}
    before = _schema_list(rest["anyOf"]) if rest.keys() == {"anyOf"} else [jsonrpc.raw(rest)]
    return {"anyOf": jsonrpc.raw([*before, _SCHEMA]), **kept}
