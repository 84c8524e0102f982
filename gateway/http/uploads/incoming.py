"""Receives one file over HTTP into staging: its name, its limits, its bytes and its digest."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from longshore.gateway.appkeys import BLOBS, CONFIG
from longshore.shared import ids
from longshore.shared.config import Config
from longshore.shared.errors import BadRequest, SlowRequest, TooLarge, WrongMediaType
from longshore.shared.jobs import StagedFile
from longshore.shared.state.quota import FileLimits
from longshore.shared.storage import layout
from longshore.shared.storage.blob_writer import BlobWriter

_READ_TIMEOUT_S = 60.0
_HEX = frozenset("0123456789abcdef")


@dataclass(slots=True)
class ReceivedFile:
    """One file that is being received into staging."""

    id: str
    writer_name: str
    writer: BlobWriter
    name: str
    media_type: str
    size_bytes: int = 0
    sha256: str = ""

    def staged(self) -> StagedFile:
        """Return the file's entry in a finalise job."""
        return StagedFile(
            id=self.id, staged_name=self.writer_name, name=self.name, stored_name=layout.safe_name(self.name),
            media_type=self.media_type, size_bytes=self.size_bytes, sha256=self.sha256,
        )


def new_file(request: web.Request, *, name: str | None, media_type: str) -> ReceivedFile:
    """Create a file in staging. Raises BadRequest for a name that is not a plain file name."""
    file_id = ids.new_id()
    return ReceivedFile(
        id=file_id, writer_name=file_id, writer=request.app[BLOBS].writer(file_id), name=display_name(name),
        media_type=media_type,
    )


async def write_file(
    request: web.Request, entry: ReceivedFile, read: Callable[[], Awaitable[bytes]], *, before_bytes: int = 0
) -> None:
    """Write the chunks that `read` returns, until it returns b"", and close the file.

    Raises TooLarge as soon as the file passes `uploads.max_file_bytes`; OverQuota as soon as it cannot fit behind
    `before_bytes` of the same request, whatever else is evicted; SlowRequest.
    """
    config, size = request.app[CONFIG], 0
    quota = FileLimits.of(config)
    while chunk := await _read_in_time(read):
        size += len(chunk)
        check_size(config, size)
        quota.check_possible(before_bytes + size)
        await entry.writer.write(chunk)
    entry.size_bytes, entry.sha256 = await entry.writer.finish()


def check_encoding(headers: Mapping[str, str]) -> None:
    """Raise WrongMediaType for a compressed body: files are stored as they are sent."""
    is_coded = headers.get("Content-Encoding", "identity").lower() != "identity"
    if is_coded or headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        raise WrongMediaType("compressed bodies are not accepted; send the file as it is")


def check_size(config: Config, size_bytes: int) -> None:
    """Raise TooLarge for a file above `uploads.max_file_bytes`."""
    limit = config.uploads.max_file_bytes
    if size_bytes > limit:
        raise TooLarge(f"a file is larger than the limit of {limit} bytes (uploads.max_file_bytes)")


async def _read_in_time(read: Callable[[], Awaitable[bytes]]) -> bytes:
    try:
        async with asyncio.timeout(_READ_TIMEOUT_S):
            return await read()
    except TimeoutError:
        raise SlowRequest(f"no byte of the file arrived for {_READ_TIMEOUT_S:g} seconds; send it again") from None


def display_name(name: str | None) -> str:
    """Return the client's file name. Raises BadRequest for a path."""
    if not name:
        return "file"
    if not name.isprintable() and any("\ud800" <= char <= "\udfff" for char in name):
        raise BadRequest("a file name must be UTF-8, or percent-encoded as filename*")
    if "/" in name or "\\" in name or "\0" in name or name in (".", ".."):
        raise BadRequest("a file name must not contain separators or NUL, nor be '..'; send the bare name")
    return name


def parse_sha256(text: str) -> str:
    """Parse a SHA-256 in hexadecimal digits; returns it in lower case. Raises BadRequest."""
    digest = text.strip().lower()
    if len(digest) != 64 or not set(digest) <= _HEX:
        raise BadRequest("a sha256 must be 64 hexadecimal digits")
    return digest


def check_digests(request: web.Request, received: list[ReceivedFile], digests: list[str]) -> None:
    """Raise BadRequest unless every file matches its digest, or none was sent and none is required."""
    if not digests and not request.app[CONFIG].uploads.require_sha256:
        return
    if len(digests) != len(received):
        raise BadRequest(
            f"{len(received)} files and {len(digests)} sha256 fields: send one for each file, in the same order"
        )
    wrong = [str(at + 1) for at, part in enumerate(received) if part.sha256 != digests[at]]
    if wrong:
        raise BadRequest(f"the received bytes of file {', '.join(wrong)} do not match the sha256; send it again")


async def send_continue(request: web.Request) -> None:
    """Answer `Expect: 100-continue` with 100 Continue, after the checks (RFC 9110 §10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def defer_continue(_request: web.Request) -> None:
    """Leave the answer to `Expect: 100-continue` to the handler, which checks the request first."""
