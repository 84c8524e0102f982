"""A multipart body on its way into staging: counted, hashed and checked as it comes, never held."""

from collections import Counter

from aiohttp import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    BodyPartReader,
    MultipartReader,
    web,
)
from aiohttp.http_exceptions import BadHttpMessage

from longshore.gateway.http.uploads.incoming import (
    Received,
    begin,
    check_coding,
    compare,
    digest_of,
    say_continue,
    take,
)
from longshore.shared.errors import BadRequest

_CHUNK_BYTES = 256 * 1024    # the reader's default of 8 KiB halves the throughput
MOST_FILES = 100            # of one request
MOST_FORM_BYTES = 1024 * 1024  # of a body that are not its files'
_MOST_FIELD_BYTES = 1024
_BAD_NAME = "a file name cannot be understood; send the bare name, without separators, in quotes or percent-encoded"


async def receive(request: web.Request, received: list[Received]) -> None:
    """Read the whole body into `received`, which holds every file begun even when this raises.

    Raises BadRequest for a malformed body, TooLarge as soon as a file passes `uploads.max_file_bytes`,
    OverQuota as soon as the files of the request cannot fit whatever else gives way.
    """
    digests: list[str] = []
    await say_continue(request)
    try:
        reader = await request.multipart()
        await _parts(request, reader, received, digests)
    except BadHttpMessage as err:
        raise BadRequest("a part of the multipart body has a header that is too long or malformed") from err
    except (ValueError, AssertionError) as err:  # what aiohttp raises for broken boundaries and headers
        raise BadRequest("the multipart body is malformed: check its boundary and that it is complete") from err
    except (BadContentDispositionHeader, BadContentDispositionParam) as err:  # where warnings are errors
        raise BadRequest(_BAD_NAME) from err
    if not received:
        raise BadRequest("the request holds no file; send each in a field named file")
    compare(request, received, digests)


async def _parts(
    request: web.Request, reader: MultipartReader, received: list[Received], digests: list[str]
) -> None:
    counts: Counter[str | None] = Counter()      # of fields, empty ones too
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise BadRequest("nested multipart bodies are not taken here; send each file in a field named file")
        counts[part.name] += 1
        if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
            raise BadRequest("send files as they are, without Content-Transfer-Encoding")
        check_coding(part.headers)
        if part.name == "sha256":
            if counts["sha256"] > MOST_FILES:
                raise BadRequest(f"one request may hold {MOST_FILES} sha256 fields")
            if digest := await _digest(part):
                digests.append(digest)
        elif part.name == "file":
            if counts["file"] > MOST_FILES:
                raise BadRequest(f"one request may hold {MOST_FILES} files")
            await _file(request, part, received)
        else:
            raise BadRequest("unknown form field; files go into fields named file, digests into fields named sha256")


async def _file(request: web.Request, part: BodyPartReader, received: list[Received]) -> None:
    first = b""
    if part.filename == "" and not (first := await _chunk(part)):
        return   # a field of a form, in which nothing was chosen
    before = sum(earlier.size_bytes for earlier in received)
    entry = begin(request, name=part.filename, media_type=part.headers.get("Content-Type", ""))
    if part.filename is None and "filename" in part.headers.get("Content-Disposition", ""):
        raise BadRequest(_BAD_NAME)  # aiohttp leaves out what it does not take, a separator for instance
    received.append(entry)

    async def chunk() -> bytes:
        nonlocal first
        taken, first = first, b""
        return taken or await _chunk(part)

    await take(request, entry, chunk, before_bytes=before)


async def _chunk(part: BodyPartReader) -> bytes:
    return bytes(await part.read_chunk(_CHUNK_BYTES))


async def _digest(part: BodyPartReader) -> str:
    """A digest, or "" where the field of a form was left empty. Raises BadRequest."""
    text = b""
    while chunk := await part.read_chunk():
        text += chunk
        if len(text) > _MOST_FIELD_BYTES:
            raise BadRequest("a sha256 field is too long; it takes 64 hexadecimal digits")
    return digest_of(text.decode("ascii", "replace")) if text.strip() else ""
