"""Messages of SEP-2631 (file objects and file transfer): all names of the draft are in this module only. Pure.

The draft still changes: methods, keys and reasons may be renamed, and then only this module changes.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from datetime import UTC, datetime
from typing import Any

import msgspec

from longshore.gateway.files.announced_upload import AnnouncedUpload
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.protocol_errors import FileRefused
from longshore.shared.records import FileRecord

AUTHORIZE_UPLOAD = "files/authorizeUpload"
AUTHORIZE_DOWNLOAD = "files/authorizeDownload"
METHODS = frozenset({AUTHORIZE_UPLOAD, AUTHORIZE_DOWNLOAD})
SCHEME = "mcp-file://"
SCHEMA_KEY = "x-mcp-file"    # in the schema of an argument that takes a file URI
CAPABILITY = "files"         # of clients and of servers
_ALGORITHM = "sha-256"
_TRANSPORT = "https"
_MAX_NAME_CHARS = 255
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,64}/[\w!#$&^.+-]{1,64}(?:\s*;[\x20-\x7e]*)?", re.ASCII)


class _Digest(msgspec.Struct):
    algorithm: str
    value: str


class _Upload(msgspec.Struct, rename="camel"):
    name: str = ""
    mime_type: str = ""
    size: int | None = None
    digest: _Digest | None = None


class _Download(msgspec.Struct):
    uri: str


class _UploadRequest(msgspec.Struct):
    params: _Upload = msgspec.field(default_factory=_Upload)


class _DownloadRequest(msgspec.Struct):
    params: _Download


class _Claim(msgspec.Struct):
    download: bool | dict[str, Any] = False
    transports: tuple[str, ...] = (_TRANSPORT,)


class _Claims(msgspec.Struct):
    files: _Claim = msgspec.field(default_factory=_Claim, name=CAPABILITY)


_uploads = msgspec.json.Decoder(_UploadRequest)
_downloads = msgspec.json.Decoder(_DownloadRequest)
_claims = msgspec.json.Decoder(_Claims)


def client_fetches(capabilities: bytes) -> bool:
    """True if a client with these capabilities fetches files by their URI."""
    try:
        claim = _claims.decode(capabilities).files
    except jsonrpc.UNREADABLE:
        return False
    return claim.download is not False and _TRANSPORT in claim.transports


def server_capability(*, upload: bool, download: bool) -> dict[str, Any]:
    """Build the `files` capability of the server."""
    return {"upload": upload, "download": download, "transports": [_TRANSPORT]}


def parse_upload(body: bytes, file_id: str) -> AnnouncedUpload:
    """Parse the announced file of a `files/authorizeUpload` request. Raises FileRefused."""
    try:
        params = _uploads.decode(body).params
    except jsonrpc.UNREADABLE:
        raise _malformed("pass name, mimeType, size and digest, each of its own type, or leave them out") from None
    name, size = params.name, params.size
    if len(name) > _MAX_NAME_CHARS or "/" in name or "\\" in name or not name.isprintable() or name in (".", ".."):
        raise FileRefused("a name is the bare name of the file, of at most 255 characters", why="invalidName")
    if params.mime_type and not (len(params.mime_type) <= _MAX_NAME_CHARS and _MEDIA_TYPE.fullmatch(params.mime_type)):
        raise FileRefused("mimeType is not a media type, such as text/plain", why="invalidMimeType")
    if size is not None and not 0 <= size < 2**53:
        raise FileRefused("size is a number of bytes", why="invalidSize")
    sha256 = _sha256_of(params.digest) if params.digest is not None else ""
    return AnnouncedUpload(file_id=file_id, name=name, media_type=params.mime_type, size_bytes=size, sha256=sha256)


def parse_download(body: bytes) -> str:
    """Parse the file URI of a `files/authorizeDownload` request. Raises FileRefused."""
    try:
        return _downloads.decode(body).params.uri
    except jsonrpc.UNREADABLE:
        raise _malformed("pass the uri of a file") from None


def _sha256_of(digest: _Digest) -> str:
    if digest.algorithm.lower() != _ALGORITHM:
        raise FileRefused("digests are sha-256 here", why="invalidDigest", supported=[_ALGORITHM])
    try:
        value = digest.value.encode("ascii")
        raw = urlsafe_b64decode(value + b"=" * (-len(value) % 4))
    except (Error, ValueError):
        raw = b""
    if len(raw) != 32 or _base64url(raw) != digest.value:
        raise FileRefused("a digest is 32 bytes in base64url, without padding", why="invalidDigest")
    return raw.hex()


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def uri_of(scope: str, file_id: str) -> str:
    """Build the URI of one file. It always names the same bytes."""
    return f"{SCHEME}sessions/{scope}/{file_id}"


def announced_file(scope: str, file: AnnouncedUpload) -> dict[str, Any]:
    """Build the file object of an announced file."""
    return _value(uri_of(scope, file.file_id), file.name, file.media_type, file.size_bytes, file.sha256)


def stored_file(record: FileRecord) -> dict[str, Any]:
    """Build the file object of a stored file."""
    uri = uri_of(record.scope, record.id)
    return _value(uri, record.name, record.media_type, record.size_bytes, record.sha256)


def _value(uri: str, name: str, media_type: str, size: int | None, sha256: str) -> dict[str, Any]:
    value: dict[str, Any] = {"uri": uri}
    if name:
        value["name"] = name
    if media_type:
        value["mimeType"] = media_type
    if size is not None:
        value["size"] = size
    if sha256:
        value["digest"] = {"algorithm": _ALGORITHM, "value": _base64url(bytes.fromhex(sha256))}
    return value


def upload_result(file: dict[str, Any], *, url: str, expires_s: int) -> dict[str, Any]:
    """Build the result of `files/authorizeUpload`: a PUT of the file's bytes."""
    return {"file": file, "upload": _descriptor("PUT", url, expires_s)}


def download_result(file: dict[str, Any], *, url: str, expires_s: int) -> dict[str, Any]:
    """Build the result of `files/authorizeDownload`: a GET of the file."""
    return {"file": file, "download": _descriptor("GET", url, expires_s)}


def _descriptor(method: str, url: str, expires_s: int) -> dict[str, Any]:
    expires = datetime.fromtimestamp(expires_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"transport": _TRANSPORT, "method": method, "url": url, "expiresAt": expires}


def file_block(record: FileRecord) -> dict[str, Any]:
    """Build the content block of a tool result for a file."""
    return {"type": "file", "file": stored_file(record)}


def resource_contents(uri: str, record: FileRecord) -> dict[str, Any]:
    """Build the contents of the resource `uri` as a reference to the file."""
    return {"uri": uri, "mimeType": record.media_type, "content": {"uri": uri_of(record.scope, record.id)}}


def with_schema_key(schema: jsonrpc.RawMap, *, max_bytes: int, inline: bool, upload: bool) -> jsonrpc.RawMap:
    """Add the file annotation to the schema of an argument that takes a file, or a list of files."""
    modes = [mode for mode, is_on in (("inline", inline), ("upload", upload)) if is_on]
    annotation = jsonrpc.raw({"maxSize": max_bytes, "transferModes": modes})
    if bytes(schema.get("items", b"")).startswith(b"{"):
        items = jsonrpc.open_object(schema["items"])
        return schema | {"items": jsonrpc.raw(items | {SCHEMA_KEY: annotation})}
    return schema | {SCHEMA_KEY: annotation}


def _malformed(text: str) -> FileRefused:
    return FileRefused(text, why="invalidParams")


def too_large(limit_bytes: int, actual_bytes: int) -> FileRefused:
    """Error for a file above the size limit."""
    text = f"the file has {actual_bytes} bytes; {limit_bytes} are the limit"
    return FileRefused(text, why="maxSizeExceeded", maxSize=limit_bytes, actualSize=actual_bytes)


def digest_required() -> FileRefused:
    """Error for a file without the required digest."""
    return FileRefused("give the digest of the file (sha-256)", why="digestRequired", supported=[_ALGORITHM])


def size_differs(announced_bytes: int, actual_bytes: int) -> FileRefused:
    """Error for a file whose size is not the announced one."""
    text = f"{announced_bytes} bytes were announced and {actual_bytes} came; send the file again, or announce it anew"
    return FileRefused(text, why="sizeMismatch", expectedSize=announced_bytes, actualSize=actual_bytes)


def digest_differs() -> FileRefused:
    """Error for a file whose digest is not the announced one."""
    text = "the bytes that arrived do not have the digest that was announced; send the file again"
    return FileRefused(text, why="digestMismatch", algorithm=_ALGORITHM)


def unknown_file() -> FileRefused:
    """Error for a URI that names no file of this caller."""
    return FileRefused("no file of this URI here; it may have expired, or was never sent", why="fileNotFound")


def insecure_transport() -> FileRefused:
    """Error for a transfer that would not use https."""
    text = "files travel by https alone; the operator sets core.public_base_url to the https address of this gateway"
    return FileRefused(text, why="insecureTransport", is_callers=False)
