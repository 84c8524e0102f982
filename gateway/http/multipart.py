"""A multipart body on its way into staging: counted, hashed and checked as it comes, never held."""

import asyncio
from dataclasses import dataclass

from aiohttp import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    BodyPartReader,
    MultipartReader,
    web,
)
from aiohttp.http_exceptions import BadHttpMessage

from gateway.appkeys import BLOBS, CONFIG
from shared import ids, layout
from shared.blob_writer import BlobWriter
from shared.config import Config
from shared.errors import BadRequest, SlowRequest, TooLarge
from shared.jobs import StagedFile
from shared.state.quota import FileLimits

_CHUNK_BYTES = 256 * 1024    # the reader's default of 8 KiB halves the throughput
_MOST_FILES = 100            # of one request
MOST_FORM_BYTES = 1024 * 1024  # of a body that are not its files'
_MOST_FIELD_BYTES = 1024
_SILENCE_S = 60.0
_BAD_NAME = "a file name cannot be understood; send the bare name, without separators, in quotes or percent-encoded"
_HEX = frozenset("0123456789abcdef")


@dataclass(slots=True)
class Received:
    """One file in staging, from its first byte on."""

    id: str
    writer_name: str
    writer: BlobWriter
    name: str
    media_type: str
    size_bytes: int = 0
    sha256: str = ""

    def staged(self) -> StagedFile:
        """What the worker needs to know of it."""
        return StagedFile(
            id=self.id, staged_name=self.writer_name, name=self.name, stored_name=layout.safe_name(self.name),
            media_type=self.media_type, size_bytes=self.size_bytes, sha256=self.sha256,
        )


async def receive(request: web.Request, received: list[Received]) -> None:
    """Read the whole body into `received`, which holds every file begun even when this raises.

    Raises BadRequest for a malformed body, TooLarge as soon as a file passes `uploads.max_file_bytes`,
    OverQuota as soon as the files of the request cannot fit whatever else gives way.
    """
    config = request.app[CONFIG]
    digests: list[str] = []
    await _say_continue(request)
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
    _compare(config, received, digests)


async def _parts(
    request: web.Request, reader: MultipartReader, received: list[Received], digests: list[str]
) -> None:
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise BadRequest("nested multipart bodies are not taken here; send each file in a field named file")
        if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
            raise BadRequest("send files as they are, without Content-Transfer-Encoding")
        if part.name == "sha256":
            digests.append(await _digest(part))
        elif part.name == "file":
            if len(received) >= _MOST_FILES:
                raise BadRequest(f"one request may hold {_MOST_FILES} files")
            await _file(request, part, received)
        else:
            raise BadRequest("unknown form field; files go into fields named file, digests into fields named sha256")


async def _file(request: web.Request, part: BodyPartReader, received: list[Received]) -> None:
    limit, quota = request.app[CONFIG].uploads.max_file_bytes, FileLimits.of(request.app[CONFIG])
    before = sum(earlier.size_bytes for earlier in received)
    file_id = ids.new_id()
    entry = Received(
        id=file_id, writer_name=file_id, writer=request.app[BLOBS].writer(file_id),
        name=_display_name(part.filename), media_type=part.headers.get("Content-Type", ""),
    )
    if part.filename is None and "filename" in part.headers.get("Content-Disposition", ""):
        raise BadRequest(_BAD_NAME)  # aiohttp leaves out what it does not take, a separator for instance
    received.append(entry)
    size = 0
    while chunk := await _chunk(part):
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"a file is larger than {limit} bytes, which is the limit (uploads.max_file_bytes)")
        quota.check_possible(before + size)
        await entry.writer.write(chunk)
    entry.size_bytes, entry.sha256 = await entry.writer.finish()


async def _chunk(part: BodyPartReader) -> bytes:
    try:
        async with asyncio.timeout(_SILENCE_S):
            return bytes(await part.read_chunk(_CHUNK_BYTES))
    except TimeoutError:
        raise SlowRequest(f"nothing of the file came for {_SILENCE_S:g} seconds; send it again") from None


async def _digest(part: BodyPartReader) -> str:
    text = b""
    while chunk := await part.read_chunk():
        text += chunk
        if len(text) > _MOST_FIELD_BYTES:
            raise BadRequest("a sha256 field is too long; it takes 64 hexadecimal digits")
    digest = text.decode("ascii", "replace").strip().lower()
    if len(digest) != 64 or not set(digest) <= _HEX:
        raise BadRequest("a sha256 field takes 64 hexadecimal digits")
    return digest


def _compare(config: Config, received: list[Received], digests: list[str]) -> None:
    if not digests and not config.uploads.require_sha256:
        return
    if len(digests) != len(received):
        raise BadRequest(
            f"{len(received)} files and {len(digests)} sha256 fields: send one for each file, in the same order"
        )
    wrong = [str(at + 1) for at, part in enumerate(received) if part.sha256 != digests[at]]
    if wrong:
        raise BadRequest(f"the sha256 of file {', '.join(wrong)} does not match what arrived; send it again")


def _display_name(name: str | None) -> str:
    """The client's file name. Raises BadRequest for one that tries to be a path."""
    if not name:
        return "file"
    if not name.isprintable() and any("\ud800" <= char <= "\udfff" for char in name):
        raise BadRequest("a file name must be UTF-8; send it so, or percent-encoded as filename*")
    if "/" in name or "\\" in name or "\0" in name or name in (".", ".."):
        raise BadRequest("a file name must not hold separators, NUL or be '..'; send the bare name")
    return name


async def _say_continue(request: web.Request) -> None:
    """Answer Expect: 100-continue now, after the checks (RFC 9110 §10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
