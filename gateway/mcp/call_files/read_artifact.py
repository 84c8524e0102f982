"""Answer to `resources/read` of an artifact, streamed: the file is encoded into JSON as it is read."""

import base64
import codecs
import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import BLOBS, FILES
from longshore.gateway.files import stored
from longshore.gateway.files.results import is_text
from longshore.gateway.wire.envelope import MessageId
from longshore.shared.errors import TooLarge
from longshore.shared.records import ArtifactRecord
from longshore.shared.storage.blobs import Blobs

_CHUNK_BYTES = 768 * 1024    # a multiple of 3: base64 of the parts joins to base64 of the whole
_SMALL_BYTES = 2 * _CHUNK_BYTES    # larger files are sent in chunks
_MAX_WHOLE_BYTES = 16 * 1024 * 1024
_encode = msgspec.json.Encoder().encode


async def send_contents(
    request: web.Request, record: ArtifactRecord, uri: str, message_id: MessageId, *, head: dict[str, Any]
) -> web.StreamResponse:
    """Send the file as text where it is UTF-8, else as base64. Raises NotFound where it does not exist.

    `head` are fields that the client's revision has in a result.
    """
    blobs, files = request.app[BLOBS], request.app[FILES]
    fd = await stored.open_file(blobs, files, record)
    try:
        if record.size_bytes <= _SMALL_BYTES:
            body = b"".join([part async for part in _parts(blobs, fd, record, uri, message_id, head)])
            return web.Response(body=body, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        async for part in _parts(blobs, fd, record, uri, message_id, head):
            await response.write(part)
        await response.write_eof()
        return response
    finally:
        os.close(fd)


async def read_contents(request: web.Request, record: ArtifactRecord, uri: str, message_id: MessageId) -> bytes:
    """Build the response as one message, for a batch. Raises NotFound, TooLarge."""
    blobs, files = request.app[BLOBS], request.app[FILES]
    if record.size_bytes > _MAX_WHOLE_BYTES:
        raise TooLarge(f"files of more than {_MAX_WHOLE_BYTES} bytes are not read within a batch; ask for it alone")
    fd = await stored.open_file(blobs, files, record)
    try:
        return b"".join([part async for part in _parts(blobs, fd, record, uri, message_id, {})])
    finally:
        os.close(fd)


async def _parts(
    blobs: Blobs, fd: int, record: ArtifactRecord, uri: str, message_id: MessageId, head: dict[str, Any]
) -> AsyncIterator[bytes | memoryview]:
    """Yield the response, a chunk of the file at a time."""
    as_text = is_text(record)
    entry = {"uri": uri, "mimeType": record.media_type, "text" if as_text else "blob": ""}
    frame = _encode({"jsonrpc": "2.0", "id": message_id, "result": {**head, "contents": [entry]}})
    yield frame[:-len(_END)]
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    left = record.size_bytes
    chunk_bytes = _SMALL_BYTES if left <= _SMALL_BYTES else _CHUNK_BYTES
    while left > 0 and (chunk := await blobs.run(_read_full, fd, min(chunk_bytes, left))):
        left -= len(chunk)
        yield _text(decoder.decode(chunk)) if as_text else base64.b64encode(chunk)
    if as_text and (rest := decoder.decode(b"", final=True)):
        yield _text(rest)
    yield _END


_END = b'"}]}}'


def _text(text: str) -> memoryview:
    """Encode `text` as the inside of a JSON string."""
    return memoryview(_encode(text))[1:-1]


def _read_full(fd: int, size: int) -> bytes:
    """Read exactly `size` bytes unless the file ends: a short read would put padding into the middle."""
    parts: list[bytes] = []
    while size > 0 and (part := os.read(fd, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
