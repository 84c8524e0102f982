"""Receives a request body that is one bare file, as `curl -T` sends it, into staging."""

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import StreamReader, web
from aiohttp.client_exceptions import ClientPayloadError
from aiohttp.http_exceptions import BadHttpMessage

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.http.uploads.incoming import (
    ReceivedFile,
    check_digests,
    check_encoding,
    check_size,
    new_file,
    parse_sha256,
    send_continue,
    write_file,
)
from longshore.shared.errors import BadRequest, WrongMediaType

DIGEST_HEADER = "X-Content-Sha256"
_SMALL_CHUNK_BYTES = 64 * 1024


def check_raw_body(request: web.Request) -> None:
    """Raise TooLarge, WrongMediaType or BadRequest for a body that is not one bare file within the limits."""
    check_size(request.app[CONFIG], request.content_length or 0)
    if request.content_type.startswith("multipart/"):
        raise WrongMediaType("PUT accepts a bare file; send forms by POST")
    check_encoding(request.headers)
    if "Content-Range" in request.headers:
        raise BadRequest("PUT accepts whole files, not ranges")


async def receive_raw_body(request: web.Request, received: list[ReceivedFile]) -> None:
    """Read the body into `received`, which lists the file even when this raises.

    The file's name is the last part of the path, or `filename` in the query; its digest is in the header
    `X-Content-Sha256`, or `sha256` in the query. Raises BadRequest, TooLarge, OverQuota.
    """
    name = request.match_info.get("filename") or request.query.get("filename")
    text = request.headers.get(DIGEST_HEADER) or request.query.get("sha256")
    digests = [parse_sha256(text)] if text else []
    received.append(new_file(request, name=name, media_type=request.headers.get("Content-Type", "")))
    await send_continue(request)
    await write_raw_body(request, received[0], partial(read_chunk, request.content))
    check_digests(request, received, digests)


async def write_raw_body(request: web.Request, entry: ReceivedFile, read: Callable[[], Awaitable[bytes]]) -> None:
    """Write the body that `read` reads into `entry`. Raises BadRequest, TooLarge, OverQuota, SlowRequest."""
    try:
        await write_file(request, entry, read)
    except (BadHttpMessage, ClientPayloadError) as err:
        raise BadRequest("the body is malformed or not complete; send the file again") from err


async def read_chunk(content: StreamReader) -> bytes:
    """Read the next chunk of a body as it was received; b"" at the end of the body.

    `readany` joins everything that waits, which costs time and holds the bytes twice meanwhile. Small chunks are
    joined all the same: a client that sends many must not cost one write for each.
    """
    data, is_chunk_end = await content.readchunk()
    while is_chunk_end and not data and not content.at_eof():
        data, is_chunk_end = await content.readchunk()
    if data and len(data) < _SMALL_CHUNK_BYTES:
        return data + content.read_nowait()
    return data
