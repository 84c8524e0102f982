"""Receives a multipart/form-data body into staging: streamed, hashed and checked on the way, never held in memory."""

from collections import Counter

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from longshore.gateway.http.uploads.incoming import (
    ReceivedFile,
    check_digests,
    check_encoding,
    new_file,
    parse_sha256,
    send_continue,
    write_file,
)
from longshore.shared.errors import BadRequest

_CHUNK_BYTES = 256 * 1024    # the reader's default of 8 KiB halves the throughput
MAX_FILES = 100             # of one request
MAX_FORM_BYTES = 1024 * 1024  # of a body, beside its files
_MAX_FIELD_BYTES = 1024
_BAD_NAME = "a file name cannot be parsed; send the bare name, without separators, in quotes or percent-encoded"


async def receive_form(request: web.Request, received: list[ReceivedFile]) -> None:
    """Read the whole body into `received`, which lists every file begun even when this raises.

    Raises BadRequest for a malformed body, TooLarge as soon as a file passes `uploads.max_file_bytes`,
    OverQuota as soon as the files of the request cannot fit, whatever else is evicted.
    """
    digests: list[str] = []
    await send_continue(request)
    try:
        reader = await request.multipart()
        await _read_parts(request, reader, received, digests)
    except BadHttpMessage as err:
        raise BadRequest("a part of the multipart body has a header that is too long or malformed") from err
    except (ValueError, AssertionError) as err:  # what aiohttp raises for broken boundaries and headers
        raise BadRequest("the multipart body is malformed: check its boundary and that it is complete") from err
    except (BadContentDispositionHeader, BadContentDispositionParam) as err:  # where warnings are errors
        raise BadRequest(_BAD_NAME) from err
    if not received:
        raise BadRequest("the request has no file; send each in a field named file")
    check_digests(request, received, digests)


async def _read_parts(
    request: web.Request, reader: MultipartReader, received: list[ReceivedFile], digests: list[str]
) -> None:
    counts: Counter[str | None] = Counter()      # of fields, the empty ones included
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise BadRequest("nested multipart bodies are not accepted; send each file in a field named file")
        counts[part.name] += 1
        if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
            raise BadRequest("send files as they are, without Content-Transfer-Encoding")
        check_encoding(part.headers)
        if part.name == "sha256":
            if counts["sha256"] > MAX_FILES:
                raise BadRequest(f"one request may hold {MAX_FILES} sha256 fields")
            if digest := await _read_digest(part):
                digests.append(digest)
        elif part.name == "file":
            if counts["file"] > MAX_FILES:
                raise BadRequest(f"one request may hold {MAX_FILES} files")
            await _receive_file(request, part, received)
        else:
            raise BadRequest("unknown form field; send files in fields named file, digests in fields named sha256")


async def _receive_file(request: web.Request, part: BodyPartReader, received: list[ReceivedFile]) -> None:
    first = b""
    if part.filename == "" and not (first := await _read_chunk(part)):
        return   # a file field of a form in which no file was chosen
    before = sum(earlier.size_bytes for earlier in received)
    entry = new_file(request, name=part.filename, media_type=part.headers.get("Content-Type", ""))
    if part.filename is None and "filename" in part.headers.get("Content-Disposition", ""):
        raise BadRequest(_BAD_NAME)  # aiohttp drops a name that it does not accept, one with a separator for instance
    received.append(entry)

    async def read() -> bytes:
        nonlocal first
        chunk, first = first, b""
        return chunk or await _read_chunk(part)

    await write_file(request, entry, read, before_bytes=before)


async def _read_chunk(part: BodyPartReader) -> bytes:
    return bytes(await part.read_chunk(_CHUNK_BYTES))


async def _read_digest(part: BodyPartReader) -> str:
    """Read a `sha256` field; returns "" for an empty one. Raises BadRequest."""
    text = b""
    while chunk := await part.read_chunk():
        text += chunk
        if len(text) > _MAX_FIELD_BYTES:
            raise BadRequest("a sha256 field is too long; it must be 64 hexadecimal digits")
    return parse_sha256(text.decode("ascii", "replace")) if text.strip() else ""
