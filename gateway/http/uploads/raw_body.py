"""A request body that is one file, as `curl -T` sends it, on its way into staging."""

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import StreamReader, web
from aiohttp.client_exceptions import ClientPayloadError
from aiohttp.http_exceptions import BadHttpMessage

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.http.uploads.incoming import (
    Received,
    begin,
    check_coding,
    check_size,
    compare,
    digest_of,
    say_continue,
    take,
)
from longshore.shared.errors import BadRequest, WrongMediaType

DIGEST_HEADER = "X-Content-Sha256"
_PIECE_BYTES = 64 * 1024


def check_raw(request: web.Request) -> None:
    """Raise for a body that is not the bare file, or that says it is too large."""
    check_size(request.app[CONFIG], request.content_length or 0)
    if request.content_type.startswith("multipart/"):
        raise WrongMediaType("PUT takes the bare file; send forms with POST")
    check_coding(request.headers)
    if "Content-Range" in request.headers:
        raise BadRequest("PUT takes whole files, not ranges of them")


async def receive_raw(request: web.Request, received: list[Received]) -> None:
    """Read the body into `received`, which holds the file even when this raises.

    Its name is the last part of the path, or `filename` in the query; its digest is in the header
    `X-Content-Sha256` or in the query as `sha256`. Raises BadRequest, TooLarge, OverQuota.
    """
    name = request.match_info.get("filename") or request.query.get("filename")
    text = request.headers.get(DIGEST_HEADER) or request.query.get("sha256")
    digests = [digest_of(text)] if text else []
    received.append(begin(request, name=name, media_type=request.headers.get("Content-Type", "")))
    await say_continue(request)
    await take_raw(request, received[0], partial(piece, request.content))
    compare(request, received, digests)


async def take_raw(request: web.Request, entry: Received, read: Callable[[], Awaitable[bytes]]) -> None:
    """Write the body, which `read` reads, into `entry`. Raises BadRequest, TooLarge, OverQuota, SlowRequest."""
    try:
        await take(request, entry, read)
    except (BadHttpMessage, ClientPayloadError) as err:
        raise BadRequest("the body is malformed or not complete; send the file again") from err


async def piece(content: StreamReader) -> bytes:
    """The next bytes of a body, as large pieces as they came; b"" at its end.

    `readany` copies all that waits into one, which costs time and holds them twice meanwhile. Small pieces are
    still joined: a client that sends many must not make work for each.
    """
    data, is_chunk_end = await content.readchunk()
    while is_chunk_end and not data and not content.at_eof():
        data, is_chunk_end = await content.readchunk()
    if data and len(data) < _PIECE_BYTES:
        return data + content.read_nowait()
    return data
