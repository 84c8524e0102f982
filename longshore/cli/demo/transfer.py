"""HTTP transfers of the demonstration: a sample file, its upload with progress, and the download of an artifact."""

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import msgspec

from longshore.cli.demo.steps import UnexpectedAnswer

_BUFFER_BYTES = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=120)


class UploadTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Upload URL and form field, from the result of the upload tool."""

    upload_url: str
    method: str
    field_name: str
    headers: dict[str, str] = {}


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """Response to the upload of one file."""

    upload_handle: str
    upload: "UploadedFile"


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """File as longshore received it."""

    filename: str
    size_bytes: int
    sha256: str


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """`_meta.artifact` of a tool's result."""

    artifact_uri: str
    filename: str
    mime_type: str
    size_bytes: int
    download_url: str | None = None


class _CountedFile(io.FileIO):
    """File that reports the number of bytes read."""

    def __init__(self, path: Path, on_read: Callable[[int], None]) -> None:
        super().__init__(path)
        self._on_read = on_read

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:  # type: ignore[override]
        count = super().readinto(buffer)
        self._on_read(count or 0)
        return count


@contextmanager
def sample_file(name: str, size_bytes: int) -> Iterator[Path]:
    """Write a text file of about `size_bytes`, in whole lines; it is deleted when the block ends."""
    with tempfile.TemporaryDirectory(prefix="longshore-demo-") as folder:
        path = Path(folder) / name
        with path.open("w", encoding="ascii", newline="\n") as file:
            file.write("crate,weight_kg,port\n")
            number = 0
            while file.tell() < size_bytes:
                rows = (f"{n:07d},{n * 7919 % 997},{n * 104729 % 89:02d}\n" for n in range(number, number + 10_000))
                file.writelines(rows)
                number += 10_000
        yield path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in lowercase hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def upload(target: UploadTarget, path: Path, advance: Callable[[int], None]) -> Uploaded:
    """Upload `path` as one multipart field; `advance` is called with the number of bytes of each read."""
    with io.BufferedReader(_CountedFile(path, advance), _BUFFER_BYTES) as file:
        form = aiohttp.FormData()
        form.add_field(target.field_name, file, filename=path.name, content_type="text/csv")
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as http,
            http.request(target.method, target.upload_url, data=form, headers=target.headers) as answer,
        ):
            body = await answer.read()
    _require_ok(answer, body)
    return msgspec.json.decode(body, type=Uploaded)


async def download(url: str) -> bytes:
    """Download the bytes at a signed link, without another credential."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as http, http.get(url) as answer:
        body = await answer.read()
    _require_ok(answer, body)
    return body


def _require_ok(answer: aiohttp.ClientResponse, body: bytes) -> None:
    if answer.status != 200:
        raise UnexpectedAnswer(f"HTTP {answer.status}: {body[:500].decode(errors='replace')}")
