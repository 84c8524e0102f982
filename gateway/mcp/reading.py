"""`resources/read` of an artifact: the JSON is written around the file as it is read, never held whole."""

import base64
import codecs
import os

import msgspec
from aiohttp import web

from gateway.appkeys import NOTE
from gateway.files.results import is_text
from gateway.wire.envelope import MessageId
from shared import layout
from shared.blobs import Blobs
from shared.records import ArtifactRecord

_CHUNK_BYTES = 768 * 1024    # a multiple of 3: base64 of the parts joins to base64 of the whole
_encode = msgspec.json.Encoder().encode


async def send(
    request: web.Request, blobs: Blobs, record: ArtifactRecord, uri: str, message_id: MessageId
) -> web.StreamResponse:
    """Answer with the file as text where it is UTF-8, else as base64. Raises NotFound when it is not there."""
    fd = await blobs.open_read(layout.artifact_parts(record.scope, record.id, record.stored_name))
    try:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        as_text = is_text(record)
        entry = {"uri": uri, "mimeType": record.media_type, "text" if as_text else "blob": ""}
        whole = _encode({"jsonrpc": "2.0", "id": message_id, "result": {"contents": [entry]}})
        head, tail = whole[:-len(_END)], _END
        request[NOTE].head_sent = True
        await response.prepare(request)
        await response.write(head)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        left = record.size_bytes
        while left > 0 and (chunk := await blobs.run(_read_full, fd, min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            await response.write(_text(decoder.decode(chunk)) if as_text else base64.b64encode(chunk))
        await response.write(_text(decoder.decode(b"", final=True)) + tail if as_text else tail)
        await response.write_eof()
        return response
    finally:
        os.close(fd)


_END = b'"}]}}'


def _text(text: str) -> bytes:
    """`text` as the inside of a JSON string."""
    return _encode(text)[1:-1]


def _read_full(fd: int, size: int) -> bytes:
    """Exactly `size` bytes unless the file ends: a short read would put padding into the middle."""
    parts: list[bytes] = []
    while size > 0 and (part := os.read(fd, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
